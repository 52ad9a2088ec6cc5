"""What a scheduled run rejects: what was published, and what was answered and judged without giving a pair."""

from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.models.llm import PASSING
from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.asking import quarantine_row, read_rows
from kasasagi.tasks.filter.duplicates.keys import exact_key
from kasasagi.tasks.filter.duplicates.published import NO_PAIR, REASON, published_keys
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import build_example_run

JOB = "two-models-one-judge"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of seven prompts that published its four pairs; the last prompt of all is a tie."""
    run = build_example_run(tmp_path, prompts=7, ended=False)
    run.save(run.state().model_copy(update={"status": "done", "published": "/data/out"}))
    return run


def dealt_with(run: Run) -> dict[str, str]:
    return {row["key"]: row["reason"] for row in read_rows(run, published_keys(run.workspace, JOB))}


def prompts_of(run: Run) -> dict[str, dict[str, Any]]:
    """The prompts of a run by what became of each."""
    query = (
        "SELECT coalesce(reason, 'pair') AS fate, p.prompt_id, messages FROM prompts AS p "
        "LEFT JOIN (SELECT row_id, reason FROM quarantine WHERE stage = 'format_dpo') ON row_id = p.prompt_id"
    )
    with open_tables(run) as connection:
        return {
            fate: {"prompt_id": id_, "messages": messages}
            for fate, id_, messages in connection.execute(query).fetchall()
        }


def add_fault(run: Run, prompt: dict[str, Any], stage: str, reason: str) -> None:
    """Let a call about a prompt have failed in a run."""
    payload = prompt if stage == "converse" else {"prompt_id": prompt["prompt_id"], "response_id": "0"}
    row_id = prompt["prompt_id"] if stage == "converse" else "0"
    shard = run.workspace.shards.write(table("quarantine", [quarantine_row(stage, row_id, reason, "503", payload)]))
    run.add(Handle(stage=stage, chunk=9, run=run.id, shards={"quarantine": shard}, account=Account()), reused=False)


def test_prompts_with_and_without_a_pair_are_dealt_with(run: Run) -> None:
    assert sorted(dealt_with(run).values()) == [NO_PAIR] * 3 + [REASON] * 4


@pytest.mark.parametrize("stage", ["respond", "judge"])
@pytest.mark.parametrize("reason", sorted(PASSING))
def test_a_prompt_whose_call_failed_for_now_is_new_again(run: Run, stage: str, reason: str) -> None:
    prompt, before = prompts_of(run)["tie"], dealt_with(run)
    add_fault(run, prompt, stage, reason)
    key = exact_key(prompt["messages"])
    assert before.pop(key) == NO_PAIR
    assert dealt_with(run) == before


def test_a_lasting_fault_and_a_pair_in_spite_of_a_fault_are_dealt_with(run: Run) -> None:
    prompts, before = prompts_of(run), dealt_with(run)
    add_fault(run, prompts["tie"], "respond", "context_too_long")
    add_fault(run, prompts["pair"], "judge", "time_out")
    assert before[exact_key(prompts["pair"]["messages"])] == REASON
    assert dealt_with(run) == before


@pytest.mark.parametrize(("reason", "dealt"), [("time_out", False), ("answer_refusal", True)])
def test_a_dialogue_that_broke_off_for_now_is_new_again(run: Run, reason: str, dealt: bool) -> None:
    prompt = {"prompt_id": "d" * 32, "messages": [{"role": "user", "content": "How deep is the sea?"}]}
    add_fault(run, prompt, "converse", reason)
    assert (exact_key(prompt["messages"]) in dealt_with(run)) is dealt
