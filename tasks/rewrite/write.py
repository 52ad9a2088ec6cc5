"""Rewrite: each prompt's last turn is rewritten in every way that the recipe names; what fails is quarantined."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from kasasagi.blocks.canonical import digest, prompt_id
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.tables import MESSAGES
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, ChunkResult, Session, quarantine_row, read_rows
from kasasagi.tasks.filter.duplicates.keys import fold
from kasasagi.tasks.judge.prompt import fence_mark, instruction_text
from kasasagi.tasks.parsing import (
    ParsedReply,
    UnreadableError,
    ask_and_keep,
    asking_language,
    prompt_file,
    question,
    request_body,
    template,
)
from kasasagi.tasks.rewrite.config import METHOD, ORIGIN, Method, RewriteConfig
from kasasagi.tasks.rewrite.stage import REWRITE
from kasasagi.tasks.stage import Example

REWRITTEN = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("messages", MESSAGES),
        ("instruction", pa.string()),
        ("finish_reason", pa.string()),
        ("place", pa.int64()),
        (ORIGIN, pa.string()),
        (METHOD, pa.string()),
    ]
)
_REPLY = re.compile(r"\s*<request>(.*)</request>\s*", re.DOTALL)
_LEAK = re.compile(
    r"</?request>|\b(?:the|this) (?:given|original|rewritten) (?:request|prompt)\b"
    r"|(?:元の|書き換えた|書き換え後の|与えられた)(?:依頼|プロンプト)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class RewriteRequest:
    """A rewriting to ask for: of which prompt, by which method."""

    prompt: Mapping[str, Any]
    method: Method


def rewrite_requests(config: RewriteConfig, prompts: Sequence[Mapping[str, Any]]) -> list[RewriteRequest]:
    """Return all rewritings of some prompts, prompt by prompt."""
    return [RewriteRequest(prompt, method) for prompt in prompts for method in config.methods]


def rewrite_messages(config: RewriteConfig, request: RewriteRequest) -> list[Message]:
    """Return the request that has a prompt rewritten; of the tasks of one method, the prompt's id draws one."""
    turns = request.prompt["messages"]
    language = asking_language(config.language, turns)
    fields = prompt_file(REWRITE.name, language)
    tasks = fields["tasks"][request.method]
    before = instruction_text(turns[:-1], language) if len(turns) > 1 else ""
    instruction = turns[-1]["content"]
    user = template(REWRITE.name, language, "user").render(
        task=tasks[int(digest([request.prompt["prompt_id"], request.method]), 16) % len(tasks)],
        before=before,
        request=instruction,
        mark=fence_mark(instruction, (before,)),
    )
    return [{"role": "system", "content": fields["system"]}, {"role": "user", "content": user}]


def questions_for(session: Session, config: RewriteConfig, requests: Sequence[RewriteRequest]) -> list[Question]:
    """Return one question for each rewriting, in their order."""
    body = request_body(session, config.model, config.sampling)
    return [
        question(session, config.model, rewrite_messages(config, request), body, request.prompt["prompt_id"])
        for request in requests
    ]


def read_rewrite(reply: str, origin: str) -> str:
    """Return the new request in a reply.

    Raises:
        UnreadableError: For another form, and for one that is no rewriting.
    """
    found = _REPLY.fullmatch(reply)
    if found is None:
        raise UnreadableError("no_request", "the reply is not one text between <request> and </request>")
    text = found[1].strip()
    if not text:
        raise UnreadableError("empty", "there is nothing between <request> and </request>")
    if fold(text) == fold(origin):
        raise UnreadableError("same_as_origin", "the new request is the one that was to be rewritten")
    leak = _LEAK.search(text)
    if leak and not _LEAK.search(origin):
        raise UnreadableError("speaks_of_rewriting", f"the new request speaks of its making: {leak[0]!r}")
    return text


def rewrite_chunk(session: Session, config: RewriteConfig, job: ChunkJob) -> Handle:
    """Rewrite one chunk of prompts and store the result."""
    requests = rewrite_requests(config, read_rows(session.run, job.inputs["prompts"]))
    reads = [partial(read_rewrite, origin=request.prompt["messages"][-1]["content"]) for request in requests]
    sort = partial(sort_rewrites, config, requests)
    return ask_and_keep(session, job, questions_for(session, config, requests), reads, config.repairs, sort)


def sort_rewrites(
    config: RewriteConfig, requests: Sequence[RewriteRequest], parsed: Sequence[ParsedReply[str]]
) -> ChunkResult:
    """Return the rewritten prompts, and the rewritings that failed, with the reason why."""
    kept, quarantine = [], []
    for request, one in zip(requests, parsed, strict=True):
        origin = request.prompt["prompt_id"]
        if one.value is None:
            reason, detail = (one.problem.reason, one.problem.detail) if one.problem else ("unread", None)
            payload = {"origin_id": origin, "rewrite": request.method, "reply": one.reply}
            quarantine.append(quarantine_row(REWRITE.name, digest([origin, request.method]), reason, detail, payload))
        else:
            kept.append(_row(request, one.value, one, config.methods.index(request.method)))
    tables = {"rewritten": pa.Table.from_pylist(kept, schema=REWRITTEN)}
    return ChunkResult(len(requests), len(kept), {"quarantine": quarantine}, tables=tables)


def _row(request: RewriteRequest, text: str, one: ParsedReply[str], place: int) -> dict[str, Any]:
    messages = [*request.prompt["messages"][:-1], {"role": "user", "content": text}]
    return {
        "prompt_id": prompt_id(messages),
        "messages": messages,
        "instruction": text,
        "finish_reason": one.answered.completion.finish_reason,
        "place": place,
        ORIGIN: request.prompt["prompt_id"],
        METHOD: request.method,
    }


def example(recipe: Any, base: Path, row: Mapping[str, Any]) -> Iterator[Example]:
    """Yield a rewriting request in the first way, rendered for a person."""
    config: RewriteConfig = recipe.rewrite
    turns = [{"role": "user", "content": row["instruction"]}]
    request = RewriteRequest({"prompt_id": prompt_id(turns), "messages": turns}, config.methods[0])
    text = "\n".join(message["content"] for message in rewrite_messages(config, request))
    yield Example("{model} rewrites", config.model, text)
