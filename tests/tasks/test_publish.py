"""Published datasets: what their consumers load, and that rows, text and files are what they should be."""

import json
from pathlib import Path

import datasets
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish import PublishConfig, Published, PublishError, publish
from kasasagi.tasks.publish.rows import RANGE_ROWS, PairRows, published_names
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import ANSWERS, build_example_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build_example_run(tmp_path_factory.mktemp("workspace"), prompts=9)


def published(run: Run, target: Path, **settings: object) -> Published:
    with open_tables(run) as connection:
        return publish(PublishConfig.model_validate(settings), run, connection, target)


def rows_of(target: Path) -> list[dict]:
    return [json.loads(line) for line in (target / "train.jsonl").read_text(encoding="utf-8").splitlines()]


def loaded(kind: str, target: Path, cache: Path) -> datasets.Dataset:
    if kind == "saved":
        return datasets.load_from_disk(str(target / "dataset"))
    if kind == "folder":
        return datasets.load_dataset(str(target), split="train", cache_dir=str(cache))
    files = {"parquet": "train.parquet", "json": "train.jsonl"}
    return datasets.load_dataset(kind, data_files=str(target / files[kind]), split="train", cache_dir=str(cache))


@pytest.mark.parametrize("kind", ["saved", "folder", "parquet", "json"])
def test_every_file_loads_and_holds_the_same_rows(run: Run, tmp_path: Path, kind: str) -> None:
    result = published(run, tmp_path / "out")
    dataset = loaded(kind, tmp_path / "out", tmp_path / "cache")
    assert dataset.to_list() == rows_of(tmp_path / "out")
    assert len(dataset) == result.rows == 6


def test_rows_are_conversational_preferences_in_a_fixed_order(run: Run, tmp_path: Path) -> None:
    published(run, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [row["prompt_id"] for row in rows] == sorted(row["prompt_id"] for row in rows)
    for row in rows:
        assert row["prompt"][-1]["role"] == "user"
        assert [turn["role"] for turn in row["chosen"] + row["rejected"]] == ["assistant", "assistant"]
        assert row["chosen"] != row["rejected"]
        assert (row["chosen_model"], row["rejected_model"]) == ("large", "small")
        assert (row["chosen_rating"], row["rejected_rating"], row["margin"]) == (5.0, 2.0, 3.0)
        assert row["chosen_tokens"] > row["rejected_tokens"] > 0
        assert len(row["chosen_rationale"]) == len(row["rejected_rationale"]) == 2
        assert row["chosen_rationale"] != row["rejected_rationale"]


def test_kept_columns_and_ids_travel_with_each_pair(run: Run, tmp_path: Path) -> None:
    published(run, tmp_path / "out")
    with open_tables(run) as connection:
        expected = connection.execute(
            "SELECT p.prompt_id, chosen_id, rejected_id, q.topic, source FROM pairs p JOIN prompts q USING (prompt_id)"
        ).fetchall()
    names = ("prompt_id", "chosen_id", "rejected_id", "topic", "source")
    assert sorted(tuple(row[name] for name in names) for row in rows_of(tmp_path / "out")) == sorted(expected)


def test_text_is_published_untouched_and_unescaped(run: Run, tmp_path: Path) -> None:
    published(run, tmp_path / "out")
    text = (tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8")
    assert "\\u" not in text
    assert "&lt;" not in text
    assert "「改行」です。" in text
    assert "<b>earlier</b> on a mountain & so on." in text
    answers = {row["chosen"][0]["content"].rsplit(" (", 1)[0] for row in rows_of(tmp_path / "out")}
    assert answers == {ANSWERS["en"][1], ANSWERS["ja"][1]}


def test_earlier_turns_and_system_messages_survive(run: Run, tmp_path: Path) -> None:
    published(run, tmp_path / "out")
    longest = max((row["prompt"] for row in rows_of(tmp_path / "out")), key=len)
    assert [turn["role"] for turn in longest] == ["system", "user", "assistant", "user"]
    assert longest[0]["content"] == "You are a patient teacher."


@pytest.mark.parametrize("prompt", ["original", "as_sent"])
def test_system_messages_are_dropped_on_request(run: Run, tmp_path: Path, prompt: str) -> None:
    published(run, tmp_path / "out", system="drop", prompt=prompt)
    prompts = [row["prompt"] for row in rows_of(tmp_path / "out")]
    assert {turn["role"] for turns in prompts for turn in turns} == {"user", "assistant"}
    assert max(map(len, prompts)) == 3


def with_calls(run: Run, request: str | None) -> duckdb.DuckDBPyConnection:
    """The run's tables in memory, with another request of every call (none: without calls)."""
    connection = duckdb.connect()
    connection.execute(f"ATTACH '{run.database}' AS run (READ_ONLY)")
    for name in ("prompts", "responses", "ratings", "pairs", "calls", "quarantine", "gates", "stages"):
        connection.execute(f"CREATE TABLE {name} AS FROM run.{name}")
    if request is None:
        connection.execute("DELETE FROM calls")
    else:
        connection.execute("UPDATE calls SET request = ?", [request])
    return connection


def test_as_sent_gives_the_messages_of_the_call(run: Run, tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "短く。"}, {"role": "user", "content": "送った文"}]
    with with_calls(run, json.dumps({"messages": messages, "temperature": 0.5})) as connection:
        publish(PublishConfig(prompt="as_sent"), run, connection, tmp_path / "out")
    assert all(row["prompt"] == messages for row in rows_of(tmp_path / "out"))


def test_prompts_that_share_a_call_are_published_as_sent_once_each(run: Run, tmp_path: Path) -> None:
    published(run, tmp_path / "once", prompt="as_sent")
    with open_tables(run) as connection:
        before = connection.execute("SELECT count(*) FROM calls").fetchall()
    with with_calls(run, "{}") as connection:
        connection.execute("DELETE FROM calls; INSERT INTO calls FROM run.calls; INSERT INTO calls FROM run.calls")
        publish(PublishConfig(prompt="as_sent"), run, connection, tmp_path / "twice")
    assert before[0][0] > 0
    assert rows_of(tmp_path / "twice") == rows_of(tmp_path / "once")


@pytest.mark.parametrize("request_text", [None, '{"prompt": "plain text"}'])
def test_as_sent_without_messages_publishes_nothing(run: Run, tmp_path: Path, request_text: str | None) -> None:
    with with_calls(run, request_text) as connection, pytest.raises(PublishError, match=r"publish\.prompt: original"):
        publish(PublishConfig(prompt="as_sent"), run, connection, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_equal_tables_give_equal_files(tmp_path: Path) -> None:
    results = []
    for name in ("one", "other"):
        run = build_example_run(tmp_path / name, prompts=9, run_id=f"run-{name}", ended=name == "one")
        results.append(published(run, tmp_path / name / "out"))
    assert results[0].digest == results[1].digest
    for file in ("train.parquet", "train.jsonl", "dataset/data-00000-of-00001.arrow"):
        assert (tmp_path / "one" / "out" / file).read_bytes() == (tmp_path / "other" / "out" / file).read_bytes()


def test_another_margin_gives_another_digest(run: Run, tmp_path: Path) -> None:
    with with_calls(run, "{}") as connection:
        before = publish(PublishConfig(), run, connection, tmp_path / "out")
        connection.execute("UPDATE pairs SET margin = 2.5")
        assert publish(PublishConfig(), run, connection, tmp_path / "out").digest != before.digest


def test_no_pairs_is_an_error_and_leaves_the_target(run: Run, tmp_path: Path) -> None:
    before = published(run, tmp_path / "out")
    with with_calls(run, "{}") as connection:
        connection.execute("DELETE FROM pairs")
        with pytest.raises(PublishError, match="nothing to publish"):
            publish(PublishConfig(), run, connection, tmp_path / "out")
    assert len(rows_of(tmp_path / "out")) == before.rows


def test_a_pair_without_its_response_publishes_nothing(run: Run, tmp_path: Path) -> None:
    with with_calls(run, "{}") as connection:
        connection.execute("DELETE FROM responses WHERE response_id = (SELECT min(chosen_id) FROM pairs)")
        with pytest.raises(PublishError, match="lack their prompt or a response"):
            publish(PublishConfig(), run, connection, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_names_with_a_meaning_get_a_prefix() -> None:
    names = published_names(["topic", "Margin", "label", "tools", "chosen", "source_chosen", "call_id"])
    assert names["topic"] == "topic"
    assert names["Margin"] == "source_Margin"
    assert (names["label"], names["tools"]) == ("source_label", "source_tools")
    assert len({name.casefold() for name in names.values()}) == len(names)
    assert not {name.casefold() for name in names.values()} & {"chosen", "margin", "call_id", "label"}


def test_clashing_kept_columns_are_published_beside_ours(run: Run, tmp_path: Path) -> None:
    with with_calls(run, "{}") as connection:
        connection.execute(
            'ALTER TABLE prompts ADD COLUMN margin VARCHAR; ALTER TABLE prompts ADD COLUMN "a ""b" DOUBLE'
        )
        connection.execute("""UPDATE prompts SET margin = 'theirs', "a ""b" = 0.5""")
        publish(PublishConfig(), run, connection, tmp_path / "out")
    assert all(
        (row["margin"], row["source_margin"], row['a "b']) == (3.0, "theirs", 0.5) for row in rows_of(tmp_path / "out")
    )


def many_pairs(connection: duckdb.DuckDBPyConnection, count: int) -> None:
    """Tables with that many pairs, of texts that md5 makes."""
    connection.execute(
        f"""
        CREATE TABLE p AS SELECT md5(i::VARCHAR) AS id FROM range({count}) t(i);
        CREATE TABLE prompts AS SELECT id AS prompt_id, [{{'role': 'user', 'content': 'Q' || id}}] AS messages,
            id AS instruction, 'test' AS source, 0::BIGINT AS position, NULL::VARCHAR AS finish_reason FROM p;
        CREATE TABLE responses AS SELECT id || '-' || k AS response_id, id AS prompt_id, 'm' || k AS model,
            repeat('A' || id, 1 + k) AS content, k::BIGINT AS completion_tokens, 'c' || id AS call_id
            FROM p, range(2) t(k) ORDER BY md5(response_id);
        CREATE TABLE ratings AS SELECT response_id, prompt_id, 'j' AS judge, 'overall' AS aspect, 'first' AS ordering,
            'R' || response_id AS rationale FROM responses;
        CREATE TABLE pairs AS SELECT id AS prompt_id, id || '-1' AS chosen_id, id || '-0' AS rejected_id,
            4.0::DOUBLE AS chosen_rating, 2.0::DOUBLE AS rejected_rating, 2.0::DOUBLE AS margin FROM p;
        """
    )


def test_large_tables_stream_in_order_in_pieces_of_bounded_size() -> None:
    with duckdb.connect() as connection:
        many_pairs(connection, 5 * RANGE_ROWS + 1)
        rows = PairRows(connection, PublishConfig())
        tables = list(rows.tables())
    assert len(tables) >= 6
    assert max(table.num_rows for table in tables) <= RANGE_ROWS
    whole = pa.concat_tables(tables)
    ids = whole["prompt_id"].to_pylist()
    assert len(set(ids)) == len(ids) == rows.count == 5 * RANGE_ROWS + 1
    assert ids == sorted(ids)
    assert all(row["chosen"][0]["content"] == ("A" + row["prompt_id"]) * 2 for row in whole.to_pylist())
    assert all(row["rejected_rationale"] == [f"R{row['rejected_id']}"] for row in whole.to_pylist())


def test_parquet_types_do_not_depend_on_the_rows(run: Run, tmp_path: Path) -> None:
    with with_calls(run, "{}") as connection:
        connection.execute("UPDATE ratings SET rationale = NULL; UPDATE responses SET completion_tokens = NULL")
        publish(PublishConfig(), run, connection, tmp_path / "nulls")
    published(run, tmp_path / "full")
    schemas = [pq.read_schema(tmp_path / name / "train.parquet") for name in ("nulls", "full")]
    assert schemas[0] == schemas[1]


@pytest.mark.parametrize(
    "settings",
    [{"formats": []}, {"formats": ["trl", "trl"]}, {"formats": ["csv"]}, {"licence": "mit"}, {"license": "a\nb"}],
)
def test_settings_without_a_meaning_are_refused(settings: dict) -> None:
    with pytest.raises(ValidationError):
        PublishConfig.model_validate(settings)
