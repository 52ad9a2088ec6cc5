"""A run's tables: the same while it is active as when it has ended, with reused calls free and kept columns joined."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from kasasagi.blocks.tables import PROMPTS, STAGES
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.tables import PUBLIC, TABLES, table
from kasasagi.tasks.tables.run_tables import build_database, open_tables, stage_accounts, tables_of
from tests.run_example import build_example_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return build_example_run(tmp_path / "workspace", ended=False)


MADE_ELSEWHERE = ("draws", "turns", "audit", "rating_histogram", "judge_figures", "mix_parts")


def everything(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    found = {}
    for name in (*PUBLIC, "stages"):
        types = [tuple(row[:2]) for row in connection.execute(f"DESCRIBE {name}").fetchall()]
        rows = sorted(map(repr, connection.execute(f"SELECT * FROM {name}").fetchall()))
        found[name] = (types, rows)
    return found


@pytest.mark.parametrize("reused", [False, True])
def test_a_run_has_the_same_tables_live_as_ended(tmp_path: Path, reused: bool) -> None:
    run = build_example_run(tmp_path, ended=False, reused=reused)
    with open_tables(run) as live:
        before = everything(live)
    build_database(run)
    with open_tables(run) as ended:
        assert everything(ended) == before
    assert all(before[name][1] for name in PUBLIC if name not in MADE_ELSEWHERE)


def test_a_run_without_anything_has_all_tables_empty(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    run = Run.begin(workspace, "empty", "job", {})
    with open_tables(run) as live:
        before = everything(live)
    assert all(not rows for _, rows in before.values())
    assert [name for name, _ in before["stages"][0]] == STAGES.names
    build_database(run)
    with open_tables(run) as ended:
        assert everything(ended) == before


def test_columns_are_those_that_are_promised_in_their_types(run: Run) -> None:
    with open_tables(run) as connection:
        for name in PUBLIC:
            found = connection.sql(f"SELECT * FROM {name} LIMIT 0").to_arrow_table().schema
            for field in TABLES[name].columns:
                assert found.field(field.name).type == field.type, (name, field.name)


def all_reused(tmp_path: Path) -> Run:
    old = build_example_run(tmp_path, run_id="old")
    new = Run.begin(old.workspace, "new", "job", {})
    for counted in old.handles():
        new.add(counted.handle, reused=True)
    return new


def test_reused_calls_cost_nothing_and_keep_their_words(tmp_path: Path) -> None:
    new = all_reused(tmp_path)
    with open_tables(new) as connection, open_tables(new.workspace.run("old")) as old:
        query = "SELECT count(*), count(*) FILTER (reused), sum(cost_usd), min(length(reply)) FROM calls"
        count, reused, cost, shortest = connection.execute(query).fetchone() or ()
        assert count == reused == len(old.execute("FROM calls").fetchall()) > 0
        assert cost == 0
        assert shortest > 0
        paid = old.execute("SELECT sum(cost_usd), count(*) FILTER (reused) FROM calls").fetchone()
        assert paid is not None
        assert (paid[0] > 0, paid[1]) == (True, 0)
        [stage] = connection.execute("SELECT * EXCLUDE (seconds) FROM stages WHERE stage = 'respond'").fetchall()
        assert stage[4:] == (0, count - len(old.execute("FROM calls WHERE stage = 'judge'").fetchall()), 0, 0, 0.0)


def test_costs_are_numbers_of_one_type_however_many_are_reused(tmp_path: Path) -> None:
    with open_tables(all_reused(tmp_path)) as connection:
        assert connection.execute("SELECT typeof(cost_usd) FROM calls LIMIT 1").fetchone() == ("DOUBLE",)


def with_kept(tmp_path: Path, names: list[str]) -> Run:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    run = Run.begin(workspace, "kept", "job", {})
    schema = PROMPTS
    for name in names:
        schema = schema.append(pa.field(name, pa.string()))
    prompt = {"prompt_id": "p", "messages": [], "instruction": "?", **{name: f"kept {name}" for name in names}}
    shards = {
        "prompts": workspace.shards.write(pa.Table.from_pylist([prompt], schema)),
        "responses": workspace.shards.write(
            table("responses", [{"response_id": "r", "prompt_id": "p", "model": "small", "content": "!"}])
        ),
        "ratings": workspace.shards.write(table("ratings", [{"response_id": "r", "prompt_id": "p", "rating": 4.0}])),
        "pairs": workspace.shards.write(table("pairs", [{"prompt_id": "p", "chosen_id": "r", "margin": 1.0}])),
    }
    run.add(Handle(stage="filter", run="kept", shards=shards, account=Account()), reused=False)
    return run


@pytest.mark.parametrize("ended", [False, True])
def test_kept_columns_are_in_the_tables_of_answers_ratings_and_pairs(tmp_path: Path, ended: bool) -> None:
    run = with_kept(tmp_path, ["topic", 'odd "name"', "select", "日本語"])
    if ended:
        build_database(run)
    with open_tables(run) as connection:
        for name in ("prompts", "responses", "ratings", "pairs"):
            [row] = connection.execute(f'SELECT topic, "odd ""name""", "select", "日本語" FROM {name}').fetchall()
            assert row == ("kept topic", 'kept odd "name"', "kept select", "kept 日本語")


@pytest.mark.parametrize("ended", [False, True])
def test_a_kept_column_never_hides_one_of_ours(tmp_path: Path, ended: bool) -> None:
    run = with_kept(tmp_path, ["model", "RATING", "Margin", "content"])
    if ended:
        build_database(run)
    with open_tables(run) as connection:
        assert connection.execute("SELECT model, content FROM responses").fetchall() == [("small", "!")]
        assert connection.execute("SELECT rating FROM ratings").fetchall() == [(4.0,)]
        assert connection.execute("SELECT margin FROM pairs").fetchall() == [(1.0,)]
        assert connection.execute("SELECT rating FROM responses").fetchall() == [("kept RATING",)]


def test_two_chunks_with_equal_rows_are_both_counted(run: Run) -> None:
    rows = table("quarantine", [{"stage": "load", "row_id": "x", "reason": "twice"}])
    shard = run.workspace.shards.write(rows)
    for chunk in (10, 11):
        handle = Handle(stage="load", chunk=chunk, run=run.id, shards={"quarantine": shard}, account=Account())
        run.add(handle, reused=False)
    with open_tables(run) as connection:
        assert connection.execute("SELECT count(*) FROM quarantine WHERE reason = 'twice'").fetchone() == (2,)


def test_the_account_of_a_stage_is_the_sum_of_its_chunks(run: Run) -> None:
    accounts = stage_accounts(run.handles())
    assert list(accounts) == ["load", "filter", "respond", "judge", "format_dpo"]
    chunks = [one.account for one in run.handles() if one.handle.stage == "respond"]
    assert accounts["respond"].rows_in == sum(chunk.rows_in for chunk in chunks) > chunks[0].rows_in
    assert all(one.rows_in == one.rows_out + one.quarantined for one in accounts.values())


def test_stages_stand_where_they_ran_and_what_counts_nothing_is_no_stage(tmp_path: Path) -> None:
    run = Run.begin(Workspace(tmp_path), "a", "job", {})
    made = [("respond", 0, 2), ("own", 0, 2), ("gate own scout", 0, 0), ("judge", 0, 0), ("respond", 1, 3)]
    for stage, chunk, rows in made:
        account = Account() if stage.startswith("gate") else Account(rows_in=rows, rows_out=rows, seconds=0.1)
        run.add(Handle(stage=stage, chunk=chunk, run=run.id, shards={}, account=account), reused=True)
    assert [(stage, one.rows_in) for stage, one in stage_accounts(run.handles()).items()] == [
        ("respond", 5),
        ("own", 2),
        ("judge", 0),
    ]


def test_some_handles_give_tables_of_their_rows_alone(run: Run) -> None:
    first = [one for one in run.handles() if one.handle.chunk == 0]
    with tables_of(run, first) as some, open_tables(run) as whole:
        counts = [one.execute("SELECT count(*) FROM responses").fetchone() for one in (some, whole)]
    assert 0 < (counts[0] or (0,))[0] < (counts[1] or (0,))[0]


def test_a_database_is_built_again_over_an_unfinished_one(run: Run) -> None:
    (run.folder / "run.duckdb.new").write_bytes(b"torn")
    (run.folder / "run.duckdb.new.wal").write_bytes(b"torn")
    build_database(run)
    build_database(run)
    assert not list(run.folder.glob("run.duckdb.new*"))
    with open_tables(run) as connection:
        assert connection.execute("SELECT count(*) FROM pairs").fetchone() != (0,)


def test_a_quote_in_the_workspaces_path_is_no_trouble(tmp_path: Path) -> None:
    run = build_example_run(tmp_path / "o'brien's", prompts=1)
    with open_tables(run) as connection:
        assert connection.execute("SELECT count(*) FROM pairs").fetchone() == (1,)
