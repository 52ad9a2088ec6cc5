"""Tags: each prompt is labelled by a model in one call; the labels become columns, and `where` may ask for them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, ChunkResult, Session, quarantine_row, read_rows
from kasasagi.tasks.filter.sql import SqlSandbox
from kasasagi.tasks.judge.prompt import fence_mark, instruction_text
from kasasagi.tasks.parsing import (
    ParsedReply,
    ask_and_keep,
    asking_language,
    prompt_file,
    question,
    request_body,
    template,
)
from kasasagi.tasks.stage import Example
from kasasagi.tasks.tags.config import TagsConfig
from kasasagi.tasks.tags.labels import Kind
from kasasagi.tasks.tags.reader import read_tags
from kasasagi.tasks.tags.stage import TAGS

Tags = dict[Kind, str]


def tag_messages(config: TagsConfig, messages: Sequence[Message]) -> list[Message]:
    """Return the request that has one prompt labelled, as chat messages; the same prompt gives the same request."""
    language = asking_language(config.language, messages)
    fields = prompt_file("tags", language)
    kinds = [{"name": kind, **_kind_fields(fields["kinds"][kind])} for kind in config.kinds]
    request = instruction_text(messages, language)
    user = template("tags", language, "user").render(kinds=kinds, request=request, mark=fence_mark(request, ()))
    return [{"role": "system", "content": fields["system"]}, {"role": "user", "content": user}]


def _kind_fields(kind: Mapping[str, Any]) -> dict[str, Any]:
    return {"question": kind["question"], "labels": list(kind["labels"].items())}


def questions_for(session: Session, config: TagsConfig, prompts: Sequence[Mapping[str, Any]]) -> list[Question]:
    """Return one question for each prompt, in their order."""
    body = request_body(session, config.model, config.sampling)
    return [
        question(session, config.model, tag_messages(config, prompt["messages"]), body).about(prompt["prompt_id"])
        for prompt in prompts
    ]


def tag_chunk(session: Session, config: TagsConfig, where: Mapping[str, str], job: ChunkJob) -> Handle:
    """Tag one chunk of prompts and keep the tags of those that satisfy `where`."""
    prompts = read_rows(session.run, job.inputs["prompts"])
    questions = questions_for(session, config, prompts)
    reads = [partial(read_tags, kinds=config.kinds)] * len(questions)
    sort = partial(sort_tags, config, where, prompts)
    return ask_and_keep(session, job, questions, reads, config.repairs, sort)


def sort_tags(
    config: TagsConfig,
    where: Mapping[str, str],
    prompts: Sequence[Mapping[str, Any]],
    parsed: Sequence[ParsedReply[Tags]],
) -> ChunkResult:
    """Return the tags of the prompts that are tagged and satisfy `where`, and the others with the reason why not."""
    rows = [_with_tags(config, prompt, one) for prompt, one in zip(prompts, parsed, strict=True)]
    broken = _broken_conditions(where, [row for row in rows if row is not None])
    kept, quarantine = [], []
    for prompt, row, one in zip(prompts, rows, parsed, strict=True):
        if row is None:
            quarantine.append(_quarantine_unread(prompt, one))
        elif (problem := next(broken)) is not None:
            quarantine.append(quarantine_row(TAGS.name, prompt["prompt_id"], problem[0], problem[1], row))
        else:
            kept.append({"prompt_id": row["prompt_id"], **{name: row[name] for name in config.columns}})
    schema = pa.schema([(name, pa.string()) for name in ("prompt_id", *config.columns)])
    tables = {"tags": pa.Table.from_pylist(kept, schema=schema)}
    return ChunkResult(len(prompts), len(kept), {"quarantine": quarantine}, tables=tables)


def _with_tags(config: TagsConfig, prompt: Mapping[str, Any], one: ParsedReply[Tags]) -> dict[str, Any] | None:
    """Return a prompt with its tags as columns, None where it has none."""
    if one.value is None:
        return None
    return {**prompt, **{f"{config.prefix}{kind}": label for kind, label in one.value.items()}}


def _broken_conditions(where: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str] | None]:
    """For each row, one after the other, the first predicate that does not hold, as reason and detail, or None."""
    if not where or not rows:
        return iter([None] * len(rows))
    with SqlSandbox() as room:
        return iter(room.first_broken(where, pa.RecordBatch.from_pylist(list(rows))))


def _quarantine_unread(prompt: Mapping[str, Any], one: ParsedReply[Tags]) -> dict[str, Any]:
    reason, detail = (one.problem.reason, one.problem.detail) if one.problem else ("unread", "the reply was not read")
    payload = {"prompt_id": prompt["prompt_id"], "instruction": prompt["instruction"], "reply": one.reply}
    return quarantine_row(TAGS.name, digest([prompt["prompt_id"], TAGS.name]), reason, detail, payload)


def example(recipe: Any, base: Path, row: Mapping[str, Any]) -> Iterator[Example]:
    """Yield a labelling request, rendered for a person."""
    config: TagsConfig = recipe.tags
    messages = tag_messages(config, [{"role": "user", "content": row["instruction"]}])
    yield Example("{model} tags", config.model, "\n".join(message["content"] for message in messages))
