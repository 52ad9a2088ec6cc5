"""The stage itself: a chunk of dialogues grows turn by turn; each call is in the ledger, what fails is quarantined."""

import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.dispatch.estimates import prompt_tokens
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.engines.kinds import engines_for
from kasasagi.blocks.models.chat_template import TemplateRefusedError
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel
from kasasagi.blocks.models.llm import Completion, Engine, Message
from kasasagi.blocks.models.pre_query import PreQuery, PreQueryUnknownError
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk, quarantine_row
from kasasagi.tasks.converse.estimates import calls_at_most
from kasasagi.tasks.converse.plan import Dialogues, dialogues
from kasasagi.tasks.converse.stage import CONVERSE
from kasasagi.tasks.filter import DedupConfig, FilterConfig, filter_prompts
from kasasagi.tasks.parsing import request_body
from kasasagi.tasks.pre_query import pre_query
from kasasagi.tasks.respond.rules import AnswerRules, answer_rules, broken_rule
from kasasagi.tasks.stage import Example, Guess
from kasasagi.tasks.synthesize.cleaning import MARKS, instruction_of
from kasasagi.tasks.synthesize.stops import with_stops, without_line_stops
from kasasagi.tasks.text.response_rules import Answer
from kasasagi.tasks.text.thoughts.thinking import split_thinking

EXAMPLE: list[Message] = [
    {"role": "user", "content": "What is the capital of Japan?"},
    {"role": "assistant", "content": "Tokyo."},
]
_MARK = re.compile(MARKS)


@dataclass
class Conversation:
    """One dialogue while it grows: the prompt it began as, the turns added since, and why it ended, if it did."""

    row: Mapping[str, Any]
    messages: list[Message]
    added: list[dict[str, Any]] = field(default_factory=list)
    problem: tuple[str, str | None] | None = None

    @property
    def turns(self) -> int:
        """The user's turns so far."""
        return sum(message["role"] == "user" for message in self.messages)

    @property
    def system(self) -> str | None:
        """The dialogue's own system prompt."""
        return self.messages[0]["content"] if self.messages[0]["role"] == "system" else None

    def add(self, role: str, content: str, answered: Answered) -> None:
        """Add a turn."""
        self.messages.append({"role": role, "content": content})
        turn = {"seed_id": self.row["prompt_id"], "turn": self.turns, "role": role, "content": content}
        ended = {"finish_reason": answered.completion.finish_reason, "stop_reason": answered.completion.stop_reason}
        self.added.append({**turn, **ended, "call_id": answered.call.key})


def converse_chunk(session: Session, plan: Dialogues, job: ChunkJob) -> Handle:
    """Continue one chunk of dialogues until each has its turns, and keep them. Raises PreQueryUnknownError."""
    started = time.monotonic()
    rows = session.run.workspace.shards.read(job.inputs["prompts"])
    talks = [Conversation(row, [dict(message) for message in row["messages"]]) for row in rows.to_pylist()]
    answered = _grow(session, plan, talks, job.chunk)
    result = _sort_dialogues(talks, rows.schema, answered)
    return keep_chunk(session.run, session.models, job, result, started)


def _grow(session: Session, plan: Dialogues, talks: Sequence[Conversation], chunk: int) -> list[Answered]:
    """Continue dialogues until each has its turns or cannot; gives every answer. Raises PreQueryUnknownError."""
    begins = pre_query_for(session, plan)
    answered: list[Answered] = []
    while going := [talk for talk in talks if talk.problem is None and talk.turns < plan.count]:
        answered += _answer(session, plan, going, chunk)
        answered += _ask_next_turns(session, plan, begins, [talk for talk in going if talk.problem is None], chunk)
    return answered


def _rest(plan: Dialogues, talks: Sequence[Conversation], place: int) -> list[Guess]:
    """Return what a dialogue asks at most behind the question that it waits for."""
    messages = talks[place].messages
    answered, tokens = messages[-1]["role"] == "assistant", prompt_tokens({"messages": messages})
    return list(calls_at_most(plan, talks[place].turns, answered=answered, tokens=tokens))[1:]


def pre_query_for(session: Session, plan: Dialogues) -> PreQuery:
    """Return what stands before the user's words for the model that plays the user. Raises PreQueryUnknownError."""
    model = session.models[plan.model]
    engine = None if isinstance(model, OpenAIModel) else session.dispatcher.engine(plan.model)
    return begins_for(plan, model, engine, session.base)


def begins_for(plan: Dialogues, model: ModelConfig, engine: Engine | None, base: Path) -> PreQuery:
    """Return the same for a model, its engine and the recipe's folder; a dialogue is tried.

    Raises PreQueryUnknownError.
    """
    begins = pre_query(plan.template, model, engine, base, plan.place)
    try:
        next_prompt(begins, plan, EXAMPLE)
    except TemplateRefusedError as error:
        raise PreQueryUnknownError(
            f"source.turns: the chat template of {plan.model!r} does not accept a second user turn ({error}): name "
            "another model under source.turns.model, or the name of a family as source.turns.template"
        ) from error
    return begins


def example(recipe: Any, base: Path, row: Mapping[str, Any]) -> Iterator[Example]:
    """Yield the text that the model which plays the user continues, rendered for a person. Raises TurnsError."""
    plan = dialogues(recipe.source)
    if plan is not None:
        model = recipe.models[plan.model]
        begins = begins_for(plan, model, engines_for({plan.model: model}).get(plan.model), base)
        text = begins.text(None, EXAMPLE, plan.steer)
        yield Example("{model} continues this text with the user's next turn", plan.model, text)


def _answer(session: Session, plan: Dialogues, talks: Sequence[Conversation], chunk: int) -> list[Answered]:
    """Have the last turn of each dialogue answered."""
    label, config = plan.answerer, plan.answers
    talks = [talk for talk in talks if talk.messages[-1]["role"] == "user"]  # others begin with their source's answer
    body = request_body(session, label, config.sampling)
    requests = [{"messages": _with_system(talk, config.system_prompt), **body} for talk in talks]
    answered = ask(
        session, _questions(session, label, plan, requests), CONVERSE.name, chunk, partial(_rest, plan, talks)
    )
    rules = answer_rules(config.rules, session.base)
    for talk, one in zip(talks, answered, strict=True):
        content, _ = split_thinking(one.completion.text, one.completion.reasoning)
        asked = talk.messages[-1]["content"]
        talk.problem = _problem(one.completion) or _broken_answer_rule(
            rules, Answer(asked, content, one.completion.finish_reason)
        )
        if talk.problem is None:
            talk.add("assistant", content, one)
    return answered


def _with_system(talk: Conversation, system: str | None) -> list[Message]:
    own = talk.system is not None or not system
    return talk.messages[:] if own else [{"role": "system", "content": str(system)}, *talk.messages]


def _broken_answer_rule(rules: AnswerRules, answer: Answer) -> tuple[str, str | None] | None:
    broken = broken_rule(rules, answer)
    return None if broken is None else (f"answer_{broken.reason}", broken.detail)


def _ask_next_turns(
    session: Session, plan: Dialogues, begins: PreQuery, talks: Sequence[Conversation], chunk: int
) -> list[Answered]:
    """Have the user's next words invented for each dialogue."""
    stops = begins.stops()
    begun = [(talk, prompt) for talk in talks if (prompt := _begun(begins, plan, talk, stops)) is not None]
    talks = [talk for talk, _ in begun]
    fields = request_body(session, plan.model, plan.sampling)
    body = with_stops(without_line_stops(fields) if plan.multi_line else fields, stops)
    requests = [{"prompt": prompt, **body} for _, prompt in begun]
    questions = _questions(session, plan.model, plan, requests)
    answered = ask(session, questions, CONVERSE.name, chunk, partial(_rest, plan, talks))
    found: list[tuple[Conversation, Answered, str]] = []
    for talk, one in zip(talks, answered, strict=True):
        text = instruction_of(plan.steer.removeprefix(plan.left_out) + one.completion.text, plan.multi_line)
        talk.problem = _problem(one.completion) or (None if text else ("empty", "the model generated no text"))
        if talk.problem is None:
            found.append((talk, one, text))
    for (talk, one, text), broken in zip(found, _broken_rules(session, plan, found, chunk), strict=True):
        talk.problem = broken
        if broken is None:
            talk.add("user", text, one)
    return answered


def _begun(begins: PreQuery, plan: Dialogues, talk: Conversation, stops: Mapping[str, Any]) -> str | list[int] | None:
    """Return what continues a dialogue; None where nothing can (see its problem). Raises PreQueryUnknownError."""
    talk.problem = _forged_mark(talk, stops.get("stop") or ())
    if talk.problem is None:
        try:
            return next_prompt(begins, plan, talk.messages)
        except TemplateRefusedError as error:
            talk.problem = ("template_refused", f"the chat template {error}")
    return None


def next_prompt(begins: PreQuery, plan: Dialogues, messages: Sequence[Message]) -> str | list[int]:
    """Return the prompt from which the user's next words are invented.

    Raises PreQueryUnknownError, TemplateRefusedError.
    """
    own = messages[0]["role"] == "system"
    system = messages[0]["content"] if own else None
    return begins.prompt(system, messages[1:] if own else messages, plan.steer)


def _questions(session: Session, label: str, plan: Dialogues, requests: Sequence[Mapping[str, Any]]) -> list[Question]:
    identity = session.identities[label]
    return [Question.of(label, identity, request, 0, plan.round) for request in requests]


def _problem(completion: Completion) -> tuple[str, str | None] | None:
    return None if completion.error is None else (completion.error, completion.detail)


def _forged_mark(talk: Conversation, stops: Sequence[str]) -> tuple[str, str] | None:
    """Return what would end a turn where none ends: the template's own marks in a message."""
    for message in talk.messages:
        content = message["content"]
        mark = _MARK.search(content)
        found = mark[0] if mark else next((stop for stop in stops if stop.strip() and stop in content), None)
        if found is not None:
            return "template_mark", f"{found!r} in a turn would be taken for its end"
    return None


def turn_filter(plan: Dialogues) -> FilterConfig:
    """Return what each further turn of the user must pass."""
    return FilterConfig(rules=list(plan.rules), dedup=DedupConfig(exact=False))


def _broken_rules(
    session: Session, plan: Dialogues, found: Sequence[tuple[Conversation, Answered, str]], chunk: int
) -> list[tuple[str, str | None] | None]:
    """For each new turn of the user the first of the plan's rules that it breaks."""
    rows = [_as_prompt(*one, position) for position, one in enumerate(found)]
    into = session.run.folder / "scratch" / f"{CONVERSE.name}-{chunk}"
    into.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=_ASKED), into / "turns.parquet")
    result = filter_prompts(turn_filter(plan), into / "turns.parquet", into, session.base)
    rejected = pq.read_table(result.quarantine, columns=["position", "reason", "detail"]).to_pylist()
    shutil.rmtree(into, ignore_errors=True)
    broken = {row["position"]: (row["reason"], row["detail"]) for row in rejected}
    return [broken.get(position) for position in range(len(found))]


_ASKED = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("instruction", pa.string()),
        ("position", pa.int64()),
        ("finish_reason", pa.string()),
        ("stop_reason", pa.string()),
    ]
)


def _as_prompt(talk: Conversation, one: Answered, text: str, position: int) -> dict[str, Any]:
    messages = [*talk.messages, {"role": "user", "content": text}]
    ended = {"finish_reason": one.completion.finish_reason, "stop_reason": one.completion.stop_reason}
    return {"prompt_id": prompt_id(messages), "messages": messages, "instruction": text, "position": position, **ended}


def _sort_dialogues(talks: Sequence[Conversation], schema: pa.Schema, answered: Sequence[Answered]) -> ChunkResult:
    """Return the dialogues that have their turns, and those quarantined with the reason why they ended."""
    prompts, turns, quarantine = [], [], []
    for talk in talks:
        if talk.problem is not None:
            payload = {"prompt_id": talk.row["prompt_id"], "messages": talk.messages}
            quarantine.append(quarantine_row(CONVERSE.name, talk.row["prompt_id"], *talk.problem, payload))
            continue
        name = prompt_id(talk.messages)
        prompts.append(_grown(talk, name))
        turns += [{"prompt_id": name, **turn} for turn in talk.added]
    rows = {"turns": turns, "quarantine": quarantine}
    tables = {"prompts": pa.Table.from_pylist(prompts, schema=schema)}
    return ChunkResult(len(talks), len(prompts), rows, answered, tables=tables)


def _grown(talk: Conversation, name: str) -> dict[str, Any]:
    last = talk.added[-1] if talk.added else talk.row
    ended = {column: last.get(column) for column in ("finish_reason", "stop_reason") if column in talk.row}
    instruction = talk.messages[-1]["content"]
    return {**talk.row, **ended, "prompt_id": name, "messages": talk.messages, "instruction": instruction}
