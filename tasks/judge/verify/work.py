"""Check one chunk of responses: a rating of 1 if correct, 0 if incorrect, none where the checker cannot tell."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, ChunkResult, Session, keep_chunk, quarantine_row, read_rows
from kasasagi.tasks.judge.checkers.auto import kind_for, needs_extra
from kasasagi.tasks.judge.checkers.code.sandbox import run_code
from kasasagi.tasks.judge.checkers.finding import Case, Checker, Finding, cannot_tell
from kasasagi.tasks.judge.checkers.named import CHECKERS
from kasasagi.tasks.judge.checkers.numbers.expressions import EXTRA
from kasasagi.tasks.judge.checkers.truths import is_missing
from kasasagi.tasks.judge.config import VERIFY, JudgeConfig
from kasasagi.tasks.judge.stage import JUDGE
from kasasagi.tasks.judge.verify.config import VerifyConfig
from kasasagi.tasks.judge.votes import by_prompt_id
from kasasagi.tasks.text.endings import cut_off_detail, is_cut_off

SHOWN_TRUTH = 200
"""Characters of a truth that a person is shown."""
PASSING = ("no_sandbox", "timeout")
"""Reasons of the machine's, not of the answer's: another run may get further."""
Row = Mapping[str, Any]


def verify_chunk(session: Session, config: JudgeConfig, job: ChunkJob) -> Handle:
    """Check one chunk of responses and keep the ratings."""
    started = time.monotonic()
    prompts = read_rows(session.run, job.inputs["prompts"])
    result = check_answers(session, config, prompts, read_rows(session.run, job.inputs.get("responses")))
    return keep_chunk(session.run, session.models, job, result, started)


def check_answers(
    session: Session, config: JudgeConfig, prompts: Sequence[Row], responses: Sequence[Row]
) -> ChunkResult:
    """Check some responses by the recipe's checker."""
    checker = CHECKERS.find(config.verifying.kind, session.base)
    return check_responses(config.verifying, checker, prompts, by_prompt_id(responses))


def check_responses(
    config: VerifyConfig, checker: Checker, prompts: Sequence[Row], responses: Mapping[str, Sequence[Row]]
) -> ChunkResult:
    """Return a rating for each response that is correct or incorrect, and a quarantined row for each other."""
    ratings, quarantine, passing = [], [], False
    for prompt in prompts:
        for answer in responses.get(prompt["prompt_id"], ()):
            found = check_one(config, checker, prompt, answer)
            if found.verdict == "cannot_tell":
                quarantine.append(_unrated(config, answer, found))
                passing = passing or found.reason in PASSING
            else:
                ratings.append(_rating(config, answer, found))
    rows = {"ratings": ratings, "quarantine": quarantine}
    return ChunkResult(len(ratings) + len(quarantine), len(ratings), rows, passing=passing)


def check_one(config: VerifyConfig, checker: Checker, prompt: Row, answer: Row) -> Finding:
    """Check one response; nothing is said of one that was cut off, or of one whose prompt has no truth."""
    if is_cut_off(how := answer["finish_reason"]):
        return cannot_tell(cut_off_detail("the response", how, "respond.sampling.max_tokens"), "truncated")
    truth = config.constraint if config.truth is None else prompt.get(config.truth)
    if config.truth is not None and is_missing(truth):
        return cannot_tell(f"the column {config.truth} is empty in this row", "no_truth")
    case = Case(answer["content"], truth, last_turn(prompt), {**prompt, **answer})
    return checker(case)


def last_turn(prompt: Row) -> str:
    """Return what the user said last."""
    turns = [turn["content"] for turn in prompt["messages"] if turn["role"] == "user"]
    return turns[-1] if turns else ""


def _rating(config: VerifyConfig, answer: Row, found: Finding) -> dict[str, Any]:
    return {
        "response_id": answer["response_id"],
        "prompt_id": answer["prompt_id"],
        "judge": VERIFY,
        "aspect": config.aspect,
        "ordering": "first",
        "place": None,
        "rating": 1.0 if found.verdict == "correct" else 0.0,
        "rationale": f"{found.verdict}: {found.detail}",
        "call_id": None,
    }


def _unrated(config: VerifyConfig, answer: Row, found: Finding) -> dict[str, Any]:
    payload = {
        "prompt_id": answer["prompt_id"],
        "response_id": answer["response_id"],
        "aspect": config.aspect,
        "response": answer["content"],
    }
    name = digest([answer["response_id"], config.aspect])
    return quarantine_row(JUDGE.name, name, found.reason, found.detail, payload)


def shown_check(config: VerifyConfig, row: Row) -> str:
    """Return what the answers to a prompt are checked against, and whether something for that is missing here."""
    truth = config.constraint if config.truth is None else row.get(config.truth)
    kind = config.kind if config.kind != "auto" else kind_for(Case("", truth, last_turn(row)))
    against = "what the prompt asks for" if truth is None else repr(truth)
    lines = [f"{kind} against {against[:SHOWN_TRUTH]}"]
    if kind == "number" and truth is not None and needs_extra(str(truth)):
        lines.append(f"such expressions are compared by the extra [{EXTRA}], which is not installed")
    if config.run_code:
        lines.append(_tried_sandbox())
    return "\n".join(lines)


def _tried_sandbox() -> str:
    """Return that answers are run, and whether the sandbox for that works here, which a trial shows."""
    tried = run_code("answer = 1", "assert answer == 1")
    works = "which works here" if tried.verdict == "correct" else f"which does not work here: {tried.detail}"
    return f"Python that models wrote is run on this machine, in a sandbox, {works}"


def constraint_problem(config: VerifyConfig, checker: Checker) -> str | None:
    """Return what is wrong with the recipe's constraint, tried on an empty object; None where it can be checked."""
    if config.constraint is None:
        return None
    found = checker(Case("{}", config.constraint))
    return found.detail if found.reason == "bad_truth" else None
