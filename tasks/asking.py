"""From requests to answers: what the ledger knows is taken from it, the rest is sent, each call is accounted for."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.hints import command
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.ledger.store import Ledger
from kasasagi.blocks.models.kinds import Config, ModelConfig, price_of
from kasasagi.blocks.models.llm import PASSING, Completion, Request
from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.tasks.ledger_lookup import Known, LedgerLookup
from kasasagi.tasks.stage import Guess
from kasasagi.tasks.tables import table
from kasasagi.tasks.text.thoughts.own_thinking import forms_of, split_own
from kasasagi.tasks.text.thoughts.thinking_forms import Form

LOOK_SECONDS = 0.5
LOOKS_OF_A_LENGTH = 4
MOST_DOUBLED = 5
NOT_ASKED = "not_asked"
"""Why a plan has no answer: its request is not in the ledger, and a plan makes no calls."""
Then = Callable[[int], Sequence[Guess]]
"""The calls that may follow an unanswered question, by its place among those that are asked together."""


class ChunkJob(Config):
    """One chunk of one stage, as it is handed to a task: plain data, small enough to be a parameter."""

    stage: str = Field(description="The stage.")
    chunk: int = Field(0, description="The chunk's number within the stage.")
    run: str = Field(description="The run that asks for it.")
    inputs: dict[str, Shard] = Field({}, description="The shards that it reads, by table.")
    cache_key: str = Field(description="Digest of the stage's version and configuration and of the inputs.")
    params: dict[str, int] = Field({}, description="Numbers that the chunk needs besides, such as the first draw.")


@dataclass(frozen=True)
class Session:
    """What the chunks of a run in this process share: its folder, its recipe's (base), models, dispatcher, claims."""

    run: Run
    models: Mapping[str, ModelConfig]
    identities: Mapping[str, str]
    dispatcher: Dispatcher
    claims: Claims
    ask_again: frozenset[str] = frozenset()
    log: Callable[[str], None] = field(default=lambda line: None)
    base: Path = Path()
    ranks: Mapping[str, int] = field(default_factory=dict)
    asks: "Callable[[Sequence[Question], str, Then | None], list[Answered]] | None" = None
    """Answers instead of the ledger and the models: a plan, which makes no calls."""

    def forms(self) -> dict[str, tuple[Form, ...]]:
        """Return the forms of thinking that each model has of its own."""
        return {label: forms_of(model, self.base) for label, model in self.models.items()}


@dataclass(frozen=True, slots=True)
class Answered:
    """One question with its answer, and whether the ledger had it."""

    question: Question
    completion: Completion
    reused: bool
    reply: str | None = None
    """The whole text of the reply, where thinking was split off by a mark of the model's own."""
    given_to: Question | None = None
    """The question that the ledger has the answer to, where it differs in its limit."""

    @property
    def call(self) -> Question:
        """The question that was sent for this answer, now or earlier."""
        return self.given_to or self.question


def known_answers(session: Session, questions: Sequence[Question]) -> dict[str, Completion]:
    """Return the answers that the ledger has, by key, without the thinking that their models mark in a way of their
    own.
    """
    known = {key: one.completion for key, one in _lookup(session, questions).find(questions).items()}
    forms = session.forms()
    split = {one.key: split_own(known[one.key], forms[one.label]) for one in questions if _may_think(one, known, forms)}
    return {**known, **split} if split else known


def _may_think(question: Question, known: Mapping[str, Completion], forms: Mapping[str, tuple[Form, ...]]) -> bool:
    return question.key in known and bool(forms.get(question.label)) and "messages" in question.request


def _lookup(session: Session, questions: Sequence[Question]) -> LedgerLookup:
    return LedgerLookup(session.run.workspace, session.identities, session.ask_again, questions)


def _in_ledger(session: Session, keys: Sequence[str]) -> dict[str, Completion]:
    ledger = Ledger(session.run.workspace.ledger_folder)
    try:
        return ledger.known(keys, session.ask_again)
    finally:
        ledger.close()


def is_stale(session: Session, handle: Handle) -> bool:
    """Return whether the ledger disagrees by now about a call that failed permanently in an earlier run's chunk.

    A chunk is stale, too, where such a call is retried. Answers are never replaced, so only failures are looked
    up. Raises LedgerError.
    """
    failed = _kept_failures(session.run, handle.shards.get("calls"))
    if not session.ask_again.isdisjoint(failed.values()):
        return True
    known = _in_ledger(session, list(failed)) if failed else {}
    return any(completion.error != failed[key] for key, completion in known.items())


def _kept_failures(run: Run, calls: Shard | None) -> dict[str, str]:
    """Return the reasons of the calls of a chunk that failed, by key."""
    if calls is None:
        return {}
    table = run.workspace.shards.read(calls, ["call_id", "error"])
    failed = table.filter(pc.is_valid(table["error"])).to_pydict()
    return dict(zip(failed["call_id"], failed["error"], strict=True))


def ask(
    session: Session, questions: Sequence[Question], stage: str, order: int, then: Then | None = None
) -> list[Answered]:
    """Answer all questions, in their order: from the ledger where it knows, else from the models.

    What another run of the workspace asks for meanwhile is waited for and found in the ledger; what that run gives up
    without an answer is asked here. Raises what the dispatcher raises.

    Args:
        session: The run's session.
        questions: What is asked.
        stage: The stage that asks; the calls of later stages go first.
        order: The chunk's number; of one stage, earlier chunks go first.
        then: The calls that may follow an unanswered question, for plans.
    """
    if session.asks is not None:
        return session.asks(questions, stage, then)
    rank = session.ranks.get(stage, 0)
    lookup = _lookup(session, questions)
    answers = lookup.find(questions)
    unknown = {question.key: question for question in questions if question.key not in answers}
    paid = set[str]()
    looks = 0
    while unknown:
        session.dispatcher.raise_if_stopped()
        session.claims.release_left(session.dispatcher.pending)
        mine = session.claims.take(list(unknown))
        claimed = [unknown.pop(key) for key in list(unknown) if key in mine]
        known, asked = _ask_claimed(session, lookup, claimed, rank, order)
        answers |= known | asked
        paid |= set(asked)
        looks = 0 if mine else looks + 1
        if looks:
            _wait_for_others(session, list(unknown), looks)
    forms = session.forms()
    return [_split(one, forms) for one in _in_order(questions, answers, paid)]


def _split(answered: Answered, forms: Mapping[str, tuple[Form, ...]]) -> Answered:
    """Return an answer without the thinking that its model marks in a way of its own."""
    own = forms.get(answered.question.label, ())
    if not own or "messages" not in answered.question.request:
        return answered
    split = split_own(answered.completion, own)
    changed = split is not answered.completion
    return replace(answered, completion=split, reply=answered.completion.text) if changed else answered


def _ask_claimed(
    session: Session, lookup: LedgerLookup, questions: Sequence[Question], rank: int, order: int
) -> tuple[dict[str, Known], dict[str, Known]]:
    """Return the answers that have come into the ledger before these questions were claimed, and those of the models.

    Nothing is waited for but the models, so that runs that wait for each other never hold what the other waits for.
    """
    if not questions:
        return {}, {}
    keys = [question.key for question in questions]
    try:
        lookup.note_limits(questions)  # before the last look, so that little time passes between it and the calls
        known = lookup.find(questions)
        unknown = [question for question in questions if question.key not in known]
        asked = session.dispatcher.ask(unknown, rank, order)
    except BaseException:
        session.claims.leave(keys)
        raise
    session.claims.release(keys)
    return known, {question.key: Known(question, one) for question, one in zip(unknown, asked, strict=True)}


def _wait_for_others(session: Session, keys: Sequence[str], looks: int) -> None:
    """Wait until the next look at the calls of other runs; the wait grows with each look without a result.

    A batch keeps many chunks waiting for hours, whose looks would take a core. Raises what the dispatcher was stopped
    with.
    """
    doubled, of_that_length = divmod(looks - 1, LOOKS_OF_A_LENGTH)
    if not of_that_length:
        _log_who_asks(session, keys)
    for _ in range(2 ** min(doubled, MOST_DOUBLED)):
        session.dispatcher.raise_if_stopped()
        time.sleep(LOOK_SECONDS)


def _log_who_asks(session: Session, keys: Sequence[str]) -> None:
    """Say once for each other run that its answers are waited for, which may be long: it may wait for a person."""
    runs = command("runs", workspace=session.run.workspace.folder)
    for run, count in session.claims.new_waits(keys).items():
        session.log(
            f"waiting for {count:,} calls that the run {run} is making; this run makes those that it gives up "
            f"({runs} shows its state)"
        )


def _in_order(questions: Sequence[Question], answers: Mapping[str, Known], paid: Collection[str]) -> list[Answered]:
    answered, unpaid = [], set(paid)
    for question in questions:
        known, reused = answers[question.key], question.key not in unpaid
        given_to = known.question if known.question.key != question.key else None
        answered.append(Answered(question, known.completion, reused, given_to=given_to))
        unpaid.discard(question.key)  # the first of equal questions is the one that is paid for
    return answered


def call_row(models: Mapping[str, ModelConfig], stage: str, answered: Answered) -> dict[str, Any]:
    """Return a row of the calls table: the request and the reply as they were, and what they cost in this run."""
    question, completion = answered.call, answered.completion
    price = price_of(models[question.label])
    cost = 0.0 if answered.reused else price.cost(completion.prompt_tokens, completion.completion_tokens)
    return {
        "call_id": question.key,
        "stage": stage,
        "model": question.label,
        "request": orjson.dumps(question.request).decode(),
        "reply": _shown(question.request, completion) if answered.reply is None else answered.reply,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "cost_usd": cost,
        "attempts": completion.attempts,
        "reused": answered.reused,
        "error": completion.error,
        "row_id": answered.question.row_id,
    }


def _shown(request: Request, completion: Completion) -> str | None:
    """Return what a table shows as the reply; a vector is in the ledger, and would only swell the table."""
    if completion.error is not None:
        return completion.detail
    return "(a vector)" if "input" in request else completion.text


def quarantine_row(
    stage: str, row_id: str, reason: str, detail: str | None, payload: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row of the quarantine table."""
    return {
        "stage": stage,
        "row_id": row_id,
        "reason": reason,
        "detail": detail,
        "payload": orjson.dumps(payload).decode(),
    }


@dataclass
class ChunkResult:
    """What a chunk's pure work leaves: rows by table, how many rows it was asked for, and every answer.

    tables holds shards whose columns no schema of ours knows.
    """

    rows_in: int
    rows_out: int
    rows: dict[str, list[dict[str, Any]]]
    answered: Sequence[Answered] = ()
    more: Mapping[str, Sequence[pa.Field]] = field(default_factory=dict)
    """Columns beyond those that every table of that name has."""
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    passing: bool = False
    """Whether something failed that another run may be able to do, besides calls."""

    @property
    def complete(self) -> bool:
        """Whether every call has a lasting answer, if only a failure that is kept."""
        return not (self.passing or any(answer.completion.transient for answer in self.answered))


def keep_chunk(
    run: Run, models: Mapping[str, ModelConfig], job: ChunkJob, result: ChunkResult, started: float
) -> Handle:
    """Write a chunk's shards and make its handle.

    Raises:
        ValueError: If rows were lost, which would be a bug.
    """
    calls = [call_row(models, job.stage, answer) for answer in result.answered if run.keeps_calls]
    rows = {**result.rows, "calls": calls} if calls else result.rows
    account = _account(result, calls, started)
    if account.rows_in != account.rows_out + account.quarantined:
        raise ValueError(f"the account of {job.stage} chunk {job.chunk} does not close: {account}")
    store = run.workspace.shards
    made = {name: table(name, some, result.more.get(name, ())) for name, some in rows.items() if some}
    shards = {name: store.write(some) for name, some in made.items()}
    shards |= {name: store.write(some) for name, some in result.tables.items()}
    return Handle(
        stage=job.stage,
        chunk=job.chunk,
        run=job.run,
        complete=result.complete,
        inputs=job.inputs,
        shards=shards,
        account=account,
    )


def _account(result: ChunkResult, calls: Sequence[Mapping[str, Any]], started: float) -> Account:
    asked = [call for call in calls if not call["reused"]]
    paid = [call for call in asked if call["error"] not in PASSING]
    return Account(
        rows_in=result.rows_in,
        rows_out=result.rows_out,
        quarantined=len(result.rows.get("quarantine", ())),
        calls_paid=len(paid),
        calls_reused=len(calls) - len(asked),
        prompt_tokens=sum(call["prompt_tokens"] for call in asked),
        completion_tokens=sum(call["completion_tokens"] for call in asked),
        cost_usd=sum(call["cost_usd"] for call in asked),
        seconds=time.monotonic() - started,
    )


def read_rows(run: Run, shard: Shard | None, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a shard; none where there is no shard."""
    if shard is None:
        return []
    rows: pa.Table = run.workspace.shards.read(shard, columns)
    return list(rows.to_pylist())
