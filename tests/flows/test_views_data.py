"""Queries, exports, traces, quarantine, differences and frames of a run."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from kasasagi.blocks.canonical import digest_file
from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.flows.errors import KasasagiError, UsageError
from kasasagi.flows.views.diff import difference, draw_difference, flatten
from kasasagi.flows.views.quarantine import draw_quarantine, read_quarantine
from kasasagi.flows.views.table_reader import fetch
from kasasagi.flows.views.tables.export import export, json_line
from kasasagi.flows.views.tables.formats import RowFormat
from kasasagi.flows.views.tables.pandas_frames import tables
from kasasagi.flows.views.tables.query import looks_like_query, query
from kasasagi.flows.views.trace import draw_trace, trace
from kasasagi.tasks.asking import quarantine_row
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import RECIPE, build_example_run

SOUND_QUERIES = (
    "select count(*) from pairs",
    "with a as (select * from pairs) select count(*) from a",
    "from pairs limit 1",
    "(select 1)",
    "-- counted\nselect 1",
    "values (1)",
    "describe pairs",
    "show tables",
    "summarize pairs",
    "pivot (select model, finish_reason from responses) on model using count(*)",
    "select 'copy; insert' as text",
    'select 1 as "update"',
)
WRITING_QUERIES = (
    "copy pairs to '{file}'",
    "with a as (copy (select 1) to '{file}' (use_tmp_file false)) from pairs",
    "with a as (/* x */ CoPy (select 1) to '{own}' (use_tmp_file false)) from pairs",
    "from query('with a as (copy (select 1) to ''{own}'' (use_tmp_file false)) from pairs')",
    "insert into pairs select * from pairs",
    "create table t as select 1",
    "drop view pairs",
    "attach '{file}'",
    "export database '{file}'",
    "set threads = 1",
    "pragma enable_profiling",
    "install httpfs",
    "select 1; select 2",
    "",
)
READING_QUERIES = (
    "from read_text('{secret}')",
    "from read_csv('{secret}')",
    "from '{secret}'",
    "from glob('{secret}')",
    "from sniff_csv('{secret}')",
    "from variable",
)


@pytest.fixture(scope="module", params=[True, False], ids=["ended", "live"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that every test may read and none may change."""
    return build_example_run(tmp_path_factory.mktemp("workspace"), ended=request.param)


def rows_of(run: Run, sql: str) -> list[Any]:
    with query(run, sql) as result:
        return [row for rows in result.batches() for row in rows]


def files_of(folder: Path) -> dict[Path, str]:
    return {path: digest_file(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("sql", SOUND_QUERIES)
def test_reading_queries_work(run: Run, sql: str) -> None:
    assert rows_of(run, sql)
    assert looks_like_query(sql)


def test_pairs_show_their_texts_and_have_the_columns_of_the_table(run: Run) -> None:
    with open_tables(run) as connection:
        table_columns = [row[0] for row in connection.execute("DESCRIBE pairs").fetchall()]
        expected = connection.execute(
            "SELECT q.instruction, c.content, r.content, p.margin FROM pairs p JOIN prompts q USING (prompt_id) "
            "JOIN responses c ON c.response_id = p.chosen_id JOIN responses r ON r.response_id = p.rejected_id "
            "ORDER BY p.prompt_id"
        ).fetchall()
    with query(run, "from pairs order by prompt_id") as result:
        assert result.names[:6] == ["prompt", "chosen", "rejected", "chosen_rating", "rejected_rating", "margin"]
        assert set(result.names) == {*table_columns, "prompt", "chosen", "rejected", "chosen_model", "rejected_model"}
    shown = rows_of(run, "select prompt, chosen, rejected, margin from pairs order by prompt_id")
    assert [row[1:] for row in shown] == [row[1:] for row in expected]
    assert all(prompt.endswith(instruction) for (prompt, *_), (instruction, *_) in zip(shown, expected, strict=True))
    assert {prompt.split(":")[0] for prompt, *_ in shown} >= {"system"}
    assert len(expected) == len(rows_of(run, "from pairs")) == rows_of(run, "select count(*) from pairs")[0][0]


def test_a_kept_column_keeps_its_name_among_the_texts(tmp_path: Path) -> None:
    run = build_example_run(tmp_path, ended=False)
    [prompts] = [one.handle for one in run.handles() if one.handle.stage == "filter"]
    rows = run.workspace.shards.read(prompts.shards["prompts"])
    for name in ("prompt", "Chosen", "chosen_text"):
        rows = rows.append_column(name, [[f"kept {name}"] * rows.num_rows])
    run.add(prompts.model_copy(update={"shards": {"prompts": run.workspace.shards.write(rows)}}), reused=False)
    with query(run, "from pairs limit 1") as result:
        row = dict(zip(result.names, result.rows(1)[0], strict=True))
    assert [row[name] for name in ("prompt", "Chosen", "chosen_text")] == [
        "kept prompt",
        "kept Chosen",
        "kept chosen_text",
    ]
    assert "Water boils" in row["chosen_text_text"] or "水" in row["chosen_text_text"]
    assert row["prompt_text"]


@pytest.mark.parametrize("sql", WRITING_QUERIES)
def test_a_query_changes_no_file(run: Run, tmp_path: Path, sql: str) -> None:
    shards = list(run.workspace.folder.rglob("*.parquet"))
    own = run.database if run.database.exists() else shards[0]
    before = files_of(run.workspace.folder)
    with pytest.raises(UsageError):
        rows_of(run, sql.format(file=tmp_path / "new", own=own))
    assert files_of(run.workspace.folder) == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sql", READING_QUERIES)
def test_a_query_reads_no_other_file_or_variable(run: Run, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    variable = pq.read_table(next(run.workspace.folder.rglob("*.parquet")))
    assert variable.num_rows
    with pytest.raises(UsageError):
        rows_of(run, sql.format(secret=secret))


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("from par", "did you mean 'pairs'?"),
        ("select contnt from responses", "did you mean 'content'?"),
        ("select r.rationale from responses r", "it is a column of ratings"),
        ("selct 1 from pairs", 'syntax error at or near "selct"'),
        ("select content::int from responses", "Could not convert string"),
        ("copy pairs to 'x'", "a query only reads"),
    ],
)
def test_a_wrong_query_is_one_sentence_that_helps(run: Run, sql: str, message: str) -> None:
    with pytest.raises(UsageError) as failure:
        rows_of(run, sql)
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)
    assert failure.value.exit_code == 2


def test_a_second_query_at_once_is_as_locked_as_the_first(run: Run) -> None:
    with query(run, "from pairs") as first, query(run, "from glob('/*')") as second:
        assert first.rows(1)
        with pytest.raises(UsageError):
            second.rows(1)


def test_a_query_locks_no_connection_of_the_callers_own(run: Run, tmp_path: Path) -> None:
    with open_tables(run) as own, query(run, "from pairs") as result:
        assert result.rows(1)
        own.execute(f"COPY pairs TO '{tmp_path / 'pairs.csv'}'")
    assert (tmp_path / "pairs.csv").exists()


def test_a_query_is_read_as_it_is_needed(run: Run) -> None:
    with query(run, "from range(5000000000000)") as result:
        assert [row[0] for row in result.rows(3)] == [0, 1, 2]
        assert result.rest() > 1_000_000


def test_jsonl_and_csv_hold_all_rows_unescaped(run: Run, tmp_path: Path) -> None:
    for form in (RowFormat.jsonl, RowFormat.csv):
        with query(run, "select instruction, messages, position from prompts order by position") as result:
            export(result, form, tmp_path / form)
    text = (tmp_path / "jsonl").read_text(encoding="utf-8")
    assert "水は何度で沸騰しますか" in text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["position"] for row in rows] == list(range(6))
    assert rows[0]["messages"][0]["role"] == "user"
    table_rows = list(csv.DictReader(io.StringIO((tmp_path / "csv").read_text(encoding="utf-8"))))
    assert [row["instruction"] for row in table_rows] == [row["instruction"] for row in rows]
    assert json.loads(table_rows[0]["messages"]) == rows[0]["messages"]


def test_parquet_keeps_types_and_replaces_the_file_whole(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    target.write_text("an earlier file")
    with query(run, "from responses") as result:
        export(result, RowFormat.parquet, target)
    assert pq.read_table(target).num_rows == rows_of(run, "select count(*) from responses")[0][0]
    assert pq.read_schema(target).field("completion_tokens").type == "int64"
    assert [path.name for path in tmp_path.iterdir() if "rows" in path.name] == ["rows.parquet"]


def test_an_export_that_fails_leaves_the_earlier_file(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    target.write_text("an earlier file")
    with query(run, "select content::int from responses") as result, pytest.raises(UsageError):
        export(result, RowFormat.jsonl, target)
    assert target.read_text() == "an earlier file"
    with query(run, "from pairs") as result, pytest.raises(KasasagiError, match="cannot be written"):
        export(result, RowFormat.jsonl, tmp_path / "no" / "folder.jsonl")


def test_numbers_of_any_size_are_json(run: Run) -> None:
    values = rows_of(run, "select sum(9223372036854775807::hugeint) + 1, 1.50::decimal(9,2), 'nan'::double")[0]
    assert json.loads(json_line(list(values))) == [2**63, 1.5, None] or json.loads(json_line(values[0])) == 2**63


def test_json_lines_are_safe_for_a_terminal_and_mean_the_same() -> None:
    line = json_line({"text": "\x1b[2J\u202e\x9b水"})
    assert json.loads(line) == {"text": "\x1b[2J\u202e\x9b水"}
    assert "水" in line
    assert line.translate({ord(c): None for c in "\x1b\u202e\x9b"}) == line


@pytest.mark.parametrize("column", ["prompt_id", "chosen_id", "rejected_id"])
@pytest.mark.parametrize("digits", [32, 8])
def test_a_pair_is_traced_from_any_of_its_ids(run: Run, column: str, digits: int) -> None:
    name = rows_of(run, f"select {column} from pairs order by prompt_id limit 1")[0][0]
    chain = trace(run, name[:digits])
    assert chain["id"] == name
    assert len(chain["prompts"]) == len(chain["pairs"]) == 1
    assert len(chain["responses"]) == 2
    assert len(chain["ratings"]) == 4
    assert {call["stage"] for call in chain["calls"]} == {"respond", "judge"}


def test_a_judges_call_leads_to_its_pair_with_the_judges_words(run: Run) -> None:
    name = rows_of(run, "select call_id from ratings where prompt_id in (select prompt_id from pairs) limit 1")[0][0]
    chain = trace(run, name)
    assert chain["kind"] == "call"
    assert len(chain["pairs"]) == 1
    file = io.StringIO()
    draw_trace(chain, Console(file=file, width=100))
    text = file.getvalue()
    assert "#### Output for Text 1" in text
    assert "5 for overall-rating" in text
    assert text.index("Prompt ") < text.index("Response ") < text.index("Call (judge)") < text.index("Pair ")


def test_an_unreadable_verdict_is_traced_to_why_there_is_no_pair(run: Run) -> None:
    name = rows_of(run, "select row_id from quarantine where reason = 'unreadable' limit 1")[0][0]
    chain = trace(run, name)
    assert not chain["pairs"]
    assert {"unreadable", "missing_rating"} <= {row["reason"] for row in chain["quarantine"]}
    file = io.StringIO()
    draw_trace(chain, Console(file=file, width=60))
    assert "It gave no pair." in file.getvalue()


def test_a_source_row_that_never_became_a_prompt_is_traced(run: Run) -> None:
    name = rows_of(run, "select row_id from quarantine where reason = 'broken_json'")[0][0]
    assert [row["reason"] for row in trace(run, name)["quarantine"]] == ["broken_json"]


def test_a_draw_leads_to_the_prompt_that_it_invented(tmp_path: Path) -> None:
    run = build_example_run(tmp_path, ended=False)
    prompt = rows_of(run, "select prompt_id from pairs limit 1")[0][0]
    draws = [{"draw_id": "e" * 32, "draw": 7, "template": "t", "text": "x", "prompt_id": prompt, "call_id": "f" * 32}]
    shards = {"draws": run.workspace.shards.write(table("draws", draws))}
    run.add(Handle(stage="synthesize", run=run.id, shards=shards, account=Account()), reused=False)
    chain = trace(run, "eeeeee")
    assert chain["kind"] == "draw"
    assert [row["prompt_id"] for row in chain["prompts"]] == [prompt]
    assert trace(run, prompt)["draws"][0]["draw"] == 7


@pytest.mark.parametrize(("name", "message"), [("zzzzzzzz", "begins with 'zzzzzzzz'"), ("zz", "begins with 'zz'")])
def test_an_unknown_id_is_said_so(run: Run, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trace(run, name)


def test_an_id_that_is_too_short_names_the_candidates(run: Run) -> None:
    prompts = sorted(row[0] for row in rows_of(run, "select prompt_id from prompts"))
    with pytest.raises(UsageError) as caught:
        trace(run, prompts[0][:3])
    sentence = str(caught.value)
    assert f"'{prompts[0][:3]}' is too short for an id: give at least 6 digits; ids that begin so: " in sentence
    assert f"{prompts[0]} (prompt)" in sentence
    assert trace(run, prompts[0][:6])["id"] == prompts[0]


def test_an_ambiguous_id_names_the_candidates(tmp_path: Path) -> None:
    run = build_example_run(tmp_path, ended=False)
    rows = [{"draw_id": "abcdef" + str(number) * 26, "draw": number} for number in (1, 2)]
    shards = {"draws": run.workspace.shards.write(table("draws", rows))}
    run.add(Handle(stage="synthesize", run=run.id, shards=shards, account=Account()), reused=False)
    with pytest.raises(UsageError, match=r"abcdef1+ \(draw\), abcdef2+ \(draw\)"):
        trace(run, "ABCDEF")


def test_quarantine_follows_the_stages_with_causes_before_consequences(tmp_path: Path) -> None:
    run = build_example_run(tmp_path, ended=False)
    reasons = {"own_stage": ["x"], "format_dpo": ["too_few_responses", "too_few_responses", "tie"], "load": ["empty"]}
    for number, (stage, some) in enumerate(reasons.items()):
        rows = [quarantine_row(stage, f"{number}{place}", reason, None, {}) for place, reason in enumerate(some)]
        shards = {"quarantine": run.workspace.shards.write(table("quarantine", rows))}
        run.add(Handle(stage=stage, chunk=9, run=run.id, shards=shards, account=Account()), reused=False)
    shown = read_quarantine(run, rows=None)
    stages = list(dict.fromkeys(row["stage"] for row in shown["counts"]))
    assert stages == ["load", "filter", "respond", "judge", "format_dpo", "own_stage"]
    assert [row["reason"] for row in shown["counts"] if row["stage"] == "format_dpo"][-1] == "too_few_responses"
    assert list(dict.fromkeys(row["stage"] for row in shown["rows"])) == stages
    file = io.StringIO()
    draw_quarantine(shown, Console(file=file, width=100))
    assert "too_few_responses: because of rows that an earlier stage quarantined" in file.getvalue()


def test_quarantine_counts_everything_and_shows_some(run: Run) -> None:
    everything = read_quarantine(run, rows=None)
    assert sum(row["rows"] for row in everything["counts"]) == len(everything["rows"])
    some = read_quarantine(run, stage="load", rows=1)
    assert [(row["reason"], row["rows"]) for row in some["counts"]] == [("broken_json", 1), ("empty", 1)]
    assert len(some["rows"]) == 1
    file = io.StringIO()
    draw_quarantine(some, Console(file=file, width=60))
    assert "1 more row; -n shows more" in file.getvalue()
    assert "line ends early" in file.getvalue()


def test_an_unknown_stage_or_reason_names_the_nearest(run: Run) -> None:
    with pytest.raises(UsageError, match="did you mean 'respond'"):
        read_quarantine(run, stage="respnd")
    with pytest.raises(UsageError, match="did you mean 'unreadable'"):
        read_quarantine(run, reason="unredable")


def test_a_stage_that_set_nothing_aside_is_no_mistake(tmp_path: Path) -> None:
    assert read_quarantine(build_example_run(tmp_path, prompts=2), stage="judge") == {"counts": [], "rows": []}


def test_two_equal_runs_do_not_differ(tmp_path: Path) -> None:
    runs = [build_example_run(tmp_path, run_id=name) for name in ("one", "two")]
    found = difference(*runs)
    assert found["recipe"] == {}
    assert found["stages"] == {}
    assert found["pairs"] == {"in_both": 3, "swapped": 0, "only_left": 0, "only_right": 0, "prompts_in_both": 3}


def test_what_differs_is_named(tmp_path: Path) -> None:
    other = RECIPE | {"respond": {**RECIPE["respond"], "sampling": {"temperature": 0.7, "max_tokens": 2048}}}
    left = build_example_run(tmp_path, run_id="one")
    right = build_example_run(tmp_path, run_id="two", prompts=9, recipe=other, ended=False)
    found = difference(left, right)
    assert found["recipe"] == {"respond.sampling.temperature": [0.8, 0.7]}
    assert found["stages"]["filter"]["rows_in"] == [7, 10]
    assert found["pairs"]["in_both"] == 3
    assert found["pairs"]["only_right"] == 3
    file = io.StringIO()
    draw_difference(found, Console(file=file, width=100))
    assert "respond.sampling.temperature" in file.getvalue()


def test_a_key_that_one_recipe_leaves_out_has_its_default_there(tmp_path: Path) -> None:
    pairs = {name: value for name, value in RECIPE["pairs"].items() if name != "min_margin"}
    other = RECIPE | {"pairs": {**pairs, "min_margin": 2.5}, "gates": {"on_fail": "warn"}, "budget": {"usd": 5}}
    left = build_example_run(tmp_path, run_id="one", recipe=RECIPE | {"pairs": pairs, "gates": {}})
    found = difference(left, build_example_run(tmp_path, run_id="two", recipe=other))
    margin = Recipe.model_validate(left.recipe()).pairs.min_margin
    assert found["recipe"]["pairs.min_margin"] == [margin, 2.5]
    assert found["defaults"]["pairs.min_margin"] == [True, False]
    file = io.StringIO()
    draw_difference(found, Console(file=file, width=100))
    rows = {line.split()[0]: line.split()[1:] for line in file.getvalue().splitlines() if "default" in line}
    assert rows["pairs.min_margin"] == [f"{margin:g}", "(default)", "2.5"]
    assert rows["gates.on_fail"] == ["stop", "(default)", "warn"]
    assert rows["budget.usd"] == ["null", "(default)", "5"]


def test_a_swapped_pair_is_told_from_another_pair(tmp_path: Path) -> None:
    left = build_example_run(tmp_path, run_id="one", ended=False)
    right = build_example_run(tmp_path, run_id="two", ended=False)
    with open_tables(left) as connection:
        pairs = fetch(connection, "select * exclude (topic) from pairs order by prompt_id")
    pairs[0]["chosen_id"], pairs[0]["rejected_id"] = pairs[0]["rejected_id"], pairs[0]["chosen_id"]
    pairs[1]["chosen_id"] = "a" * 32
    shards = {"pairs": right.workspace.shards.write(table("pairs", pairs))}
    right.add(Handle(stage="format_dpo", run=right.id, shards=shards, account=Account()), reused=False)
    found = difference(left, right)["pairs"]
    assert found == {"in_both": 1, "swapped": 1, "only_left": 1, "only_right": 1, "prompts_in_both": 3}


def test_a_recipe_is_flattened_to_dotted_keys() -> None:
    nested = {"a": {"b": 1, "c": []}, "d": [1, 2], "e": [{"f": 3}, "g"], "h": {}}
    assert flatten(nested) == {"a.b": 1, "a.c": [], "d": [1, 2], "e.0.f": 3, "e.1": "g", "h": {}}


def test_tables_come_as_data_frames(run: Run) -> None:
    frames = tables(run)
    assert {"pairs", "responses", "stages", "quarantine"} <= set(frames)
    assert list(frames["stages"]["stage"]) == ["load", "filter", "respond", "judge", "format_dpo"]
    assert frames["pairs"]["margin"].tolist() == [3.0, 3.0, 3.0]
    with pytest.raises(KeyError, match="its tables are"):
        frames["pears"]
