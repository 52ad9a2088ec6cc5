"""Use the responses that the source provides, and which of them it prefers, in place of model calls."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from kasasagi.blocks.canonical import response_id
from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import ChunkJob, ChunkResult, keep_chunk, quarantine_row, read_rows
from kasasagi.tasks.respond.stage import RESPOND
from kasasagi.tasks.text.thoughts.thinking import split_thinking

# Raised when the same input would give other rows. 2: thinking is split off. 3: further forms are.
VERSION = 3
Row = Mapping[str, Any]


def provided_chunk(run: Run, job: ChunkJob) -> Handle:
    """Take the responses of one chunk of prompts and keep them, with the preferences that the source states."""
    started = time.monotonic()
    prompts = read_rows(run, job.inputs["prompts"], ["prompt_id"])
    provided = provided_to(run, job.inputs["given"], prompts)
    return keep_chunk(run, {}, job, take(prompts, provided), started)


def beside(run: Run, job: ChunkJob) -> ChunkResult:
    """Return the answers that one chunk of prompts has in the source, to stand beside those that are asked for."""
    prompts = read_rows(run, job.inputs["prompts"], ["prompt_id"])
    result = take(prompts, provided_to(run, job.inputs["given"], prompts))
    return ChunkResult(
        result.rows_in, result.rows_out, {name: result.rows[name] for name in ("responses", "quarantine")}
    )


def provided_to(run: Run, provided: Shard, prompts: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the provided responses to some prompts; prompts of a chunk are neighbours, so little else is read."""
    wanted = {prompt["prompt_id"] for prompt in prompts}
    if not wanted:
        return []
    path = run.workspace.shards.path(provided)
    span = [("prompt_id", ">=", min(wanted)), ("prompt_id", "<=", max(wanted))]
    rows = pq.read_table(path, filters=span).to_pylist()
    return [row for row in rows if row["prompt_id"] in wanted]


def take(prompts: Sequence[Row], provided: Sequence[Row]) -> ChunkResult:
    """Return the responses to judge, the quarantined ones, and the source's labels: pairs of which it prefers one.

    Equal texts under one prompt are one response; a label of either applies to it. Text in `<think>` tags before an
    answer is its thinking.
    """
    by_prompt: dict[str, list[Row]] = defaultdict(list)
    for row in provided:
        by_prompt[row["prompt_id"]].append(row)
    rows: dict[str, list[dict[str, Any]]] = {"responses": [], "quarantine": [], "claims": []}
    for prompt in prompts:
        _take_prompt(by_prompt[prompt["prompt_id"]], rows)
    return ChunkResult(len(provided), len(rows["responses"]), rows)


def _take_prompt(provided: Sequence[Row], rows: dict[str, list[dict[str, Any]]]) -> None:
    known: dict[str, str] = {}
    sides: dict[int, dict[str, str]] = defaultdict(dict)
    for index, row in enumerate(provided):
        content, thinking = split_thinking(row["content"] or "", None)
        made = {**_response(row, index, content), "thinking": thinking}
        reason, detail = _problem(row, content, known)
        if reason is None:
            known[content.strip()] = made["response_id"]
            rows["responses"].append(made)
        else:
            rows["quarantine"].append(quarantine_row(RESPOND.name, made["response_id"], reason, detail, made))
        if content.strip() in known:
            sides[row["row"]][row["slot"]] = known[content.strip()]
    rows["claims"] += list(_source_labels(provided, sides))


def _source_labels(provided: Sequence[Row], sides: Mapping[int, Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    for side in sides.values():
        if {"chosen", "rejected"} <= side.keys() and side["chosen"] != side["rejected"]:
            pair = {"chosen_id": side["chosen"], "rejected_id": side["rejected"]}
            yield {"prompt_id": provided[0]["prompt_id"], **pair}


def _response(row: Row, index: int, content: str) -> dict[str, Any]:
    return {
        "response_id": response_id(row["prompt_id"], row["model"], index, content),
        "prompt_id": row["prompt_id"],
        "model": row["model"],
        "sample_index": index,
        "content": content,
    }


def _problem(row: Row, content: str, known: Mapping[str, str]) -> tuple[str | None, str | None]:
    if row["fault"] is not None:
        return "bad_response", row["fault"]
    if not content.strip():
        return "empty", "the response is blank"
    if content.strip() in known:
        return "equal_answer", "another response to this prompt says the same, so there is nothing to compare"
    return None, None
