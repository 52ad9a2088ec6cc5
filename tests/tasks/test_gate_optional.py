"""Gates behind the optional stages: tags and rewrites that cannot be read, and dialogues that break off."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.asking import quarantine_row
from kasasagi.tasks.gate.config import GatesConfig
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage
from kasasagi.tasks.gate.explain.failing import failing_rows
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import tables_of

ROWS = 100


@pytest.fixture
def run(tmp_path: Path) -> Run:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    return Run.begin(workspace, "run", "job", {})


def tables(run: Run, stage: str, rows_out: int, **rows: list[dict[str, Any]]) -> duckdb.DuckDBPyConnection:
    """The tables of a run whose stage let so many rows pass, and left those."""
    shards = {name: run.workspace.shards.write(table(name, some)) for name, some in rows.items() if some}
    run.add(Handle(stage=stage, run=run.id, shards=shards, account=Account(rows_out=rows_out)), reused=False)
    return tables_of(run, run.handles())


def judged(connection: duckdb.DuckDBPyConnection, stage: str) -> dict[str, Outcome]:
    outcomes = judge_stage(connection, stage, "whole", GatesConfig().all())
    return {one.expectation.partition("(")[2].rstrip(")"): one for one in outcomes}


def unread(stage: str, count: int) -> list[dict[str, Any]]:
    payload = {"prompt_id": "p", "instruction": "Why?", "reply": "no idea"}
    return [quarantine_row(stage, f"digest {n}", "unknown_line", None, payload) for n in range(count)]


@pytest.mark.parametrize(("stage", "most"), [("tags", 5), ("rewrite", 20)])
def test_too_many_replies_that_cannot_be_read_stop_the_run(run: Run, stage: str, most: int) -> None:
    with tables(run, stage, ROWS - most, quarantine=unread(stage, most)) as connection:
        assert judged(connection, stage)["unreadable"].success
    with tables(run, stage, ROWS - most - 1, quarantine=unread(stage, most + 1)) as connection:
        outcome = judged(connection, stage)["unreadable"]
        shown = failing_rows(
            connection, next(one for one in GatesConfig().all() if one.stage == stage and "unreadable" in one.name)
        )
    assert outcome.stops
    assert outcome.sentence().startswith(
        f"{stage}: replies that cannot be read: {most + 1}.0% of 100 (at most {most}.0%)"
    )
    assert {row["text"] for row in shown} == {"no idea"}


def test_prompts_whose_tags_were_read_and_did_not_please_are_no_fault_of_the_tagger(run: Run) -> None:
    poor = [quarantine_row("tags", f"p{n}", "poor", None, {"prompt_id": f"p{n}", "quality": "poor"}) for n in range(60)]
    with tables(run, "tags", 40, quarantine=poor) as connection:
        outcome = judged(connection, "tags")["unreadable"]
    assert (outcome.success, outcome.observed) == (True, "0.0% of 100")


def dialogues(count: int, long_before: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Dialogues that have their turns, the first of which had them from the start."""
    prompts = [{"prompt_id": f"p{n}", "instruction": "And why?"} for n in range(count)]
    turns = [
        {"prompt_id": f"p{n}", "seed_id": f"s{n}", "turn": turn, "role": role}
        for n in range(long_before, count)
        for turn, role in ((1, "assistant"), (2, "user"))
    ]
    return {"prompts": prompts, "turns": turns}


def broken(count: int, reason: str = "answer_truncated") -> list[dict[str, Any]]:
    return [quarantine_row("converse", f"s9{n}", reason, None, {"prompt_id": f"s9{n}"}) for n in range(count)]


def test_too_many_dialogues_that_break_off_stop_the_run(run: Run) -> None:
    with tables(run, "converse", 50, **dialogues(50), quarantine=broken(50)) as connection:
        assert all(one.success for one in judged(connection, "converse").values())
    with tables(run, "converse", 49, **dialogues(49), quarantine=broken(51)) as connection:
        outcome = judged(connection, "converse")["has_its_turns"]
    assert outcome.stops
    assert outcome.observed == "49.0% of 100"


def test_dialogues_that_were_long_enough_do_not_count_and_equal_ones_stop_the_run(run: Run) -> None:
    with tables(run, "converse", 60, **dialogues(60, long_before=40), quarantine=broken(30)) as connection:
        outcome = judged(connection, "converse")["has_its_turns"]
        assert (outcome.stops, outcome.observed) == (True, "40.0% of 50")
    twice = dialogues(2)
    twice["prompts"][1]["prompt_id"] = "p0"
    with tables(run, "converse", 2, **twice) as connection:
        assert judged(connection, "converse")["prompt_id"].stops


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("truncated", False, "answer_truncated"),
        ("truncated", False, "finished"),
        ("refused", False, "answer_refusal"),
        ("language_as_asked", True, "answer_other_language"),
    ],
)
def test_a_recipe_may_say_why_dialogues_must_not_break_off(run: Run, column: str, value: bool, reason: str) -> None:
    entry = {"stage": "converse", "expectation": "ExpectColumnValuesToBeInSet", "column": column, "value_set": [value]}
    every = GatesConfig.model_validate({"expect": [{**entry, "mostly": 0.9}]}).all()
    for why, holds in ((reason, False), ("min_chars", True)):
        with tables(run, "converse", 8, **dialogues(8), quarantine=broken(2, why)) as connection:
            [outcome] = [
                one for one in judge_stage(connection, "converse", "whole", every) if column in one.expectation
            ]
        assert outcome.success is holds, outcome
