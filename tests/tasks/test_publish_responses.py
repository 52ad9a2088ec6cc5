"""Responses as a dataset: one row each where no pairs are made, and all of a prompt's beside its pairs."""

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from datasets import load_from_disk

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish import PublishConfig, Published, publish
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import RECIPE, build_example_run
from tests.tasks.test_publish_card import cells_of, header_of

ALONE = {name: value for name, value in RECIPE.items() if name not in ("judge", "pairs", "publish")}
PROMPTS = 9


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build_example_run(tmp_path_factory.mktemp("judged"), prompts=PROMPTS)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the same prompts and responses whose recipe has nobody judge."""
    return build_example_run(tmp_path_factory.mktemp("alone"), prompts=PROMPTS, recipe=ALONE)


def put(run: Run, target: Path, **settings: Any) -> Published:
    with open_tables(run) as connection:
        return publish(PublishConfig.model_validate(settings), run, connection, target)


def rows_of(target: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (target / "train.jsonl").read_text(encoding="utf-8").splitlines()]


def asked(run: Run, query: str) -> list[tuple[Any, ...]]:
    with open_tables(run) as connection:
        return connection.execute(query).fetchall()


def test_responses_without_pairs_have_the_columns_of_text_generation(alone: Run, tmp_path: Path) -> None:
    done = put(alone, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert list(rows[0])[:4] == ["instruction", "generation", "model_name", "messages"]
    assert {"prompt_id", "response_id", "sample_index", "topic"} <= set(rows[0])
    expected = asked(
        alone,
        "SELECT q.instruction, r.content, r.model, r.response_id, q.topic FROM responses r JOIN prompts q "
        "USING (prompt_id) ORDER BY r.prompt_id, r.model, r.sample_index",
    )
    names = ("instruction", "generation", "model_name", "response_id", "topic")
    assert [tuple(row[name] for name in names) for row in rows] == expected
    assert done.rows == len(rows) == len(load_from_disk(str(tmp_path / "out" / "dataset")))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["of"], manifest["rows"]) == ("responses", len(rows))


def changed(run: Run, request: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """The run's tables in memory, each call of a responder with that request."""
    connection = duckdb.connect()
    connection.execute(f"ATTACH '{run.database}' AS run (READ_ONLY)")
    for name in ("prompts", "responses", "ratings", "pairs", "calls", "quarantine", "gates", "stages"):
        connection.execute(f"CREATE TABLE {name} AS FROM run.{name}")
    connection.execute("UPDATE calls SET request = ? WHERE stage = 'respond'", [json.dumps(request)])
    return connection


@pytest.mark.parametrize("system", ["keep", "drop"])
def test_messages_are_those_that_were_sent(alone: Run, tmp_path: Path, system: str) -> None:
    sent = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Question: 水?"}]
    with changed(alone, {"messages": sent, "temperature": 1}) as connection:
        config = PublishConfig.model_validate({"system": system})
        publish(config, alone, connection, tmp_path / "out")
    wanted = sent if system == "keep" else sent[1:]
    assert all(row["messages"] == wanted for row in rows_of(tmp_path / "out"))


def test_a_response_that_was_asked_of_nobody_stands_with_its_prompt(alone: Run, tmp_path: Path) -> None:
    with changed(alone, {}) as connection:
        connection.execute("DELETE FROM calls")
        publish(PublishConfig(), alone, connection, tmp_path / "out")
        prompts = dict(connection.execute("SELECT prompt_id, messages FROM prompts").fetchall())
    assert all(row["messages"] == prompts[row["prompt_id"]] for row in rows_of(tmp_path / "out"))


def test_the_card_of_responses_reads_well(alone: Run, tmp_path: Path) -> None:
    done = put(alone, tmp_path / "out", license="cc-by-4.0")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    answered = asked(alone, "SELECT count(DISTINCT prompt_id) FROM responses")[0][0]
    assert f"{done.rows} responses to {answered} prompts" in card
    lost = r"\d+ of \d+ responses did not pass, most often refusal \(\d+\)"
    assert re.search(r"prompts \(\d+ (?:paid calls|calls sent), \$[\d.]+\): " + lost, card)
    assert "Nobody judged them" in card
    head = card.split("## Models")[0].replace("no pairs were made of them", "")
    assert not [word for word in ("chosen", "rejected", "preference", "pair") if word in head.lower()]
    assert header_of(card)["tags"] == ["synthetic", "kasasagi", "generations"]
    shown = {row[0]: int(row[1]) for row in cells_of(card, "The responses")}
    assert shown == dict(asked(alone, "SELECT model, count(*) FROM responses GROUP BY 1"))


def test_responses_are_divided_by_prompt_and_published_in_the_same_bytes_again(alone: Run, tmp_path: Path) -> None:
    settings = {"split": {"test": 0.4}, "formats": ["generations", "all_responses"]}
    first = put(alone, tmp_path / "one", **settings)
    assert put(alone, tmp_path / "two", **settings).digest == first.digest
    sides = [
        {row["prompt_id"] for row in pq.read_table(tmp_path / "one" / folder / f"{split}.parquet").to_pylist()}
        for folder in ("", "all_responses")
        for split in ("train", "test")
    ]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert sides[:2] == sides[2:]


def test_all_responses_of_a_prompt_stand_beside_each_other_with_what_the_judge_said(
    judged: Run, tmp_path: Path
) -> None:
    put(judged, tmp_path / "out", formats=["trl", "all_responses"])
    rows = rows_of(tmp_path / "out" / "all_responses")
    with open_tables(judged) as connection:
        answered = connection.execute("SELECT count(DISTINCT prompt_id) FROM responses").fetchall()[0][0]
        pairs = connection.execute(
            "SELECT prompt_id, chosen_id, chosen_rating, rejected_id, rejected_rating FROM pairs"
        ).fetchall()
        reasons = connection.execute("SELECT count(*) FROM ratings WHERE rationale <> ''").fetchall()[0][0]
    assert len(rows) == answered > len(pairs)  # a tie and a lone answer are in it too
    for row in rows:
        lists = [row[name] for name in ("responses", "models", "response_ids", "ratings", "rationales")]
        assert len({len(one) for one in lists}) == 1
    rated = {
        response: rating for row in rows for response, rating in zip(row["response_ids"], row["ratings"], strict=True)
    }
    for _, chosen, chosen_rating, rejected, rejected_rating in pairs:
        assert (rated[chosen], rated[rejected]) == (chosen_rating, rejected_rating)
    assert sum(len(reason) for row in rows for reason in row["rationales"]) == reasons
    assert {row["topic"] for row in rows} == {row[0] for row in asked(judged, "SELECT DISTINCT topic FROM responses")}


def test_distilabels_columns_hold_all_generations_and_the_ratings_that_made_the_pair(
    judged: Run, tmp_path: Path
) -> None:
    put(judged, tmp_path / "out", formats=["distilabel"])
    rows = rows_of(tmp_path / "out")
    assert rows
    for row in rows:
        best = row["ratings"].index(max(row["ratings"]))
        worst = row["ratings"].index(min(row["ratings"]))
        assert row["chosen"] == [*row["messages"], {"role": "assistant", "content": row["generations"][best]}]
        assert row["rejected"] == [*row["messages"], {"role": "assistant", "content": row["generations"][worst]}]
        assert (row["chosen_model"], row["rejected_model"]) == tuple(row["generation_models"][n] for n in (best, worst))
        assert (row["chosen_rating"], row["rejected_rating"]) == (row["ratings"][best], row["ratings"][worst])
        assert all(row["rationales"])
        assert row["model_name"] == "critic"
        assert row["topic"]
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "Columns kept from the source: topic." in card


def test_a_kept_column_never_takes_the_place_of_a_formats_own(judged: Run, tmp_path: Path) -> None:
    with changed(judged, {"messages": []}) as connection:
        for name in ("ratings", "Generations", "responses", "model_name", "answers"):
            connection.execute(f"ALTER TABLE prompts ADD COLUMN {name} VARCHAR DEFAULT 'kept {name}'")
        config = PublishConfig.model_validate({"formats": ["trl", "distilabel", "all_responses", "generations"]})
        publish(config, judged, connection, tmp_path / "out")
    [trl, distilabel, together, single] = [
        rows_of(tmp_path / "out" / name)[0] for name in ("", "distilabel", "all_responses", "generations")
    ]
    assert (trl["ratings"], trl["answers"]) == ("kept ratings", "kept answers")
    assert distilabel["source_ratings"] == "kept ratings"
    assert distilabel["source_Generations"] == "kept Generations"
    assert distilabel["source_model_name"] == single["source_model_name"] == "kept model_name"
    assert together["source_responses"] == "kept responses"
    assert isinstance(distilabel["ratings"], list)


def test_thinking_is_inline_in_responses_where_it_is_wanted(alone: Run, tmp_path: Path) -> None:
    with changed(alone, {"messages": []}) as connection:
        connection.execute("UPDATE responses SET thinking = 'Hm.'")
        publish(PublishConfig(thinking="inline"), alone, connection, tmp_path / "out")
    assert all(row["generation"].startswith("<think>\nHm.\n</think>") for row in rows_of(tmp_path / "out"))
