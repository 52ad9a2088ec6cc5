"""Replies that must be read strictly: asked for, read, and, where they cannot be read, asked for once more."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Generic, Literal, TypeVar

import yaml
from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import Sampling, extra_body_of
from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk
from kasasagi.tasks.judge.prompt import instruction_text
from kasasagi.tasks.text.endings import cut_off_detail, is_cut_off
from kasasagi.tasks.text.languages import script_of
from kasasagi.tasks.text.thoughts.thinking import split_thinking

T = TypeVar("T")
Language = Literal["en", "ja"]
Again = Callable[[Question, str, str], list[Message]]
"""The messages that ask a question once more, from the question, the reply and what was wrong with it."""


class UnreadableError(Exception):
    """Raised when a reply cannot be parsed."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ParsedReply(Generic[T]):
    """What came of a question: the value that was read, or why there is none, and the last reply to it."""

    answered: Answered
    value: T | None = None
    problem: UnreadableError | None = None

    @property
    def reply(self) -> str:
        """The reply's own words."""
        return self.answered.completion.text


@cache
def prompt_file(name: str, language: Language) -> dict[str, Any]:
    """Return the fields of `tasks/prompts/NAME.LANGUAGE.yaml`."""
    text = files("kasasagi.tasks").joinpath(f"prompts/{name}.{language}.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


@cache
def template(name: str, language: Language, field: str) -> Template:
    """Return one template of a prompt file, in a sandbox; a name that it is not given is an error."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    return environment.from_string(prompt_file(name, language)[field])


def asking_language(wanted: Literal["auto", "en", "ja"], messages: Sequence[Message]) -> Language:
    """Return the language to ask in: as set, else Japanese for Japanese conversations and English for the rest."""
    if wanted != "auto":
        return wanted
    return "ja" if script_of(instruction_text(messages, "en")) == "ja" else "en"


def request_body(session: Session, label: str, sampling: Sampling) -> dict[str, Any]:
    """Return what is the same in all requests of a stage to a model: its sampling, laid over the model's, and extra
    fields.
    """
    model = session.models[label]
    body = sampling.over(model.sampling).parameters()
    return {**body, **extra_body_of(model)}


def question(
    session: Session, label: str, messages: Sequence[Message], body: Mapping[str, Any], prefix: str = ""
) -> Question:
    """Return one question to a model, with its key in the ledger; prefix names what it shares with other questions."""
    request = {"messages": list(messages), **body}
    return Question.of(label, session.identities[label], request, prefix=prefix)


def parse_reply(answered: Answered, read: Callable[[str], T]) -> ParsedReply[T]:
    """Read one reply; one that was cut off or never came is unreadable too."""
    completion = answered.completion
    if completion.error is not None:
        problem = UnreadableError(completion.error, completion.detail or "the model gave no answer")
        return ParsedReply(answered, problem=problem)
    if is_cut_off(how := completion.finish_reason):
        detail = cut_off_detail("the reply", how, "sampling.max_tokens")
        return ParsedReply(answered, problem=UnreadableError("truncated", detail))
    words, _ = split_thinking(completion.text, completion.reasoning)
    try:
        return ParsedReply(answered, read(words))
    except UnreadableError as error:
        return ParsedReply(answered, problem=error)


def ask_readable(
    session: Session,
    questions: Sequence[Question],
    reads: Sequence[Callable[[str], T]],
    again: Again | None,
    stage: str,
    chunk: int,
) -> tuple[list[ParsedReply[T]], list[Answered]]:
    """Ask, read each reply by its own function, and ask once more, with `again`, for those that cannot be read.

    Returns what was read for each question, and every answer. Raises what the dispatcher raises.
    """
    return read_or_repair(session, ask(session, questions, stage, chunk), reads, again, stage, chunk)


def read_or_repair(
    session: Session,
    first: Sequence[Answered],
    reads: Sequence[Callable[[str], T]],
    again: Again | None,
    stage: str,
    chunk: int,
) -> tuple[list[ParsedReply[T]], list[Answered]]:
    """Read each answer by its own function, and ask once more, with `again`, for those that cannot be read.

    Returns what was read for each question, and every answer. Raises what the dispatcher raises.
    """
    parsed = [parse_reply(answered, read) for answered, read in zip(first, reads, strict=True)]
    if again is None:
        return parsed, [*first]
    places = [at for at, one in enumerate(parsed) if one.problem and one.answered.completion.error is None]
    second = ask(session, [_again(session, parsed[at], again) for at in places], stage, chunk)
    for at, answered in zip(places, second, strict=True):
        parsed[at] = parse_reply(answered, reads[at])
    return parsed, [*first, *second]


def ask_and_keep(
    session: Session,
    job: ChunkJob,
    questions: Sequence[Question],
    reads: Sequence[Callable[[str], T]],
    repairs: int,
    sort: Callable[[Sequence[ParsedReply[T]]], ChunkResult],
) -> Handle:
    """Ask the questions of one chunk, sort the replies, and store the result with every call.

    With repairs, what cannot be read is asked for once more, by the prompt file that is named like the stage. Raises
    what the dispatcher raises.
    """
    started = time.monotonic()
    again = repair_with(job.stage, systems(job.stage)) if repairs else None
    parsed, answered = ask_readable(session, questions, reads, again, job.stage, job.chunk)
    result = sort(parsed)
    result.answered = answered
    return keep_chunk(session.run, session.models, job, result, started)


def _again(session: Session, one: ParsedReply[T], again: Again) -> Question:
    asked = one.answered.question
    messages = again(asked, one.reply, one.problem.detail if one.problem else "")
    body = {name: value for name, value in asked.request.items() if name != "messages"}
    return question(session, asked.label, messages, body, asked.prefix).about(asked.row_id)


def repair_with(name: str, system: Mapping[str, Language]) -> Again:
    """Asks once more with the field `again` of a prompt file, in the language of the system message."""

    def messages(asked: Question, reply: str, problem: str) -> list[Message]:
        earlier: Sequence[Message] = asked.request["messages"]
        text = template(name, system[earlier[0]["content"]], "again").render(fault=problem)
        return [*earlier, {"role": "assistant", "content": reply}, {"role": "user", "content": text}]

    return messages


def systems(name: str) -> dict[str, Language]:
    """Return the system messages of a prompt file, each with its language."""
    languages: tuple[Language, ...] = ("en", "ja")
    return {prompt_file(name, language)["system"]: language for language in languages}
