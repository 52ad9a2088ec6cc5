"""Gates on the shards of chunks: where the same shards were judged before, no row is read."""

from typing import Any

import pytest

from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.gate.config import GatesConfig
from kasasagi.tasks.gate.evaluation import chunks
from kasasagi.tasks.gate.evaluation.known_outcomes import shards_key
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.tables import table
from tests.tasks.test_gate import refused, responses, run

__all__ = ["run"]
EVERY = GatesConfig().all()
Tables = dict[str, list[dict[str, Any]]]


def with_chunk(run: Run, name: str, rows: Tables, stage: str = "respond", reused: bool = False) -> Run:
    """Another run of the workspace, with one chunk."""
    new = Run.begin(run.workspace, name, "job", {})
    shards = {table_name: run.workspace.shards.write(table(table_name, some)) for table_name, some in rows.items()}
    new.add(Handle(stage=stage, run=name, shards=shards, account=Account(rows_in=1)), reused=reused)
    return new


def judged(run: Run, scope: Any = "whole", expect: Any = EVERY) -> list[Outcome]:
    return chunks.judge_chunks(run, run.handles(), "respond", scope, expect)


def no_tables(*_: object) -> None:
    raise AssertionError("the tables are opened")


ROWS: Tables = {"responses": responses(30), "quarantine": refused(10)}


def test_shards_that_were_judged_before_are_not_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = judged(with_chunk(run, "one", ROWS))
    assert not all(one.success for one in first)
    monkeypatch.setattr(chunks, "tables_of", no_tables)
    assert judged(with_chunk(run, "two", ROWS, reused=True)) == first


@pytest.mark.parametrize("change", ["a row more", "a row fewer", "quarantine", "prompts", "scope", "a bound"])
def test_whatever_changes_is_read(run: Run, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    judged(with_chunk(run, "one", ROWS))
    changed: dict[str, Tables] = {
        "a row more": {"responses": responses(31)},
        "a row fewer": {"responses": responses(29)},
        "quarantine": {"quarantine": refused(2)},
        "prompts": {"prompts": [{"prompt_id": "p0", "instruction": "Why?"}]},
    }
    other = with_chunk(run, "two", {**ROWS, **changed.get(change, {})})
    expect = [one.model_copy(update={"severity": "warning"}) for one in EVERY] if change == "a bound" else EVERY
    monkeypatch.setattr(chunks, "tables_of", no_tables)
    with pytest.raises(AssertionError, match="opened"):
        judged(other, "scout" if change == "scope" else "whole", expect)


def test_shards_that_no_expectation_sees_may_change(run: Run) -> None:
    one = with_chunk(run, "one", {**ROWS, "calls": [{"call_id": "a", "stage": "respond"}]})
    two = with_chunk(run, "two", {**ROWS, "calls": [{"call_id": "b", "stage": "respond"}]})
    keys = {shards_key(each.handles(), "respond", "whole", EVERY) for each in (one, two)}
    assert len(keys) == 1
    assert keys != {None}


@pytest.mark.parametrize(
    "expect",
    [
        {"stage": "respond", "expectation": "UnexpectedRowsExpectation", "unexpected_rows_query": "SELECT 1"},
        {"stage": "format_dpo", "expectation": "ExpectShortcutAucToBeBetween", "max_value": 0.7, "scope": "whole"},
    ],
    ids=["a query", "an audit"],
)
def test_what_may_look_at_other_rows_is_judged_each_time(run: Run, expect: dict[str, Any]) -> None:
    handles = with_chunk(run, "one", ROWS).handles()
    every = GatesConfig.model_validate({"expect": [expect]}).all()
    assert shards_key(handles, expect["stage"], "whole", EVERY) is not None
    assert shards_key(handles, expect["stage"], "whole", every) is None


def test_counts_of_a_stage_are_judged_each_time(run: Run) -> None:
    handles = with_chunk(run, "one", {"quarantine": refused(10)}, stage="tags").handles()
    assert shards_key(handles, "tags", "whole", EVERY) is None
