"""Semantic: each prompt becomes a vector; one call each, so that the ledger keeps every one that is paid for."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.embeddings import unpack
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk, quarantine_row, read_rows
from kasasagi.tasks.judge.prompt import instruction_text
from kasasagi.tasks.semantic.config import SemanticConfig
from kasasagi.tasks.semantic.stage import SEMANTIC

VECTORS = pa.schema([("prompt_id", pa.string()), ("vector", pa.binary())])


def questions_for(session: Session, config: SemanticConfig, prompts: Sequence[Mapping[str, Any]]) -> list[Question]:
    """Return one question for each prompt, in their order: the conversation as one text, behind the prefix."""
    model = session.models[config.model]
    body = model.extra_body if isinstance(model, OpenAIModel) else {}
    questions = []
    for prompt in prompts:
        request = {"input": config.prefix + instruction_text(prompt["messages"], "en"), **body}
        one = Question.of(config.model, session.identities[config.model], request)
        questions.append(one.about(prompt["prompt_id"]))
    return questions


def embed_chunk(session: Session, config: SemanticConfig, job: ChunkJob) -> Handle:
    """Embed one chunk of prompts and keep the vectors, each of length 1."""
    started = time.monotonic()
    prompts = read_rows(session.run, job.inputs["prompts"])
    answered = ask(session, questions_for(session, config, prompts), SEMANTIC.name, job.chunk)
    return keep_chunk(session.run, session.models, job, sort_vectors(prompts, answered), started)


def sort_vectors(prompts: Sequence[Mapping[str, Any]], answered: Sequence[Answered]) -> ChunkResult:
    """Return the vectors that came, and the prompts that have none, with the reason why not."""
    vectors: list[dict[str, Any]] = []
    quarantine: list[dict[str, Any]] = []
    for prompt, answer in zip(prompts, answered, strict=True):
        reason, detail, vector = _vector(answer)
        if vector is None:
            payload = {"prompt_id": prompt["prompt_id"], "instruction": prompt["instruction"]}
            quarantine.append(quarantine_row(SEMANTIC.name, prompt["prompt_id"], reason, detail, payload))
        else:
            vectors.append({"prompt_id": prompt["prompt_id"], "vector": vector.tobytes()})
    tables = {"vectors": pa.Table.from_pylist(vectors, schema=VECTORS)}
    return ChunkResult(len(prompts), len(vectors), {"quarantine": quarantine}, answered, tables=tables)


def _vector(answer: Answered) -> tuple[str, str | None, Any]:
    """Return why there is no vector, or the vector with length 1."""
    completion = answer.completion
    if completion.error is not None:
        return completion.error, completion.detail, None
    vector = unpack(completion.text).astype(np.float64)
    length = float(np.linalg.norm(vector))
    if not length:
        return "no_direction", "the vector is all zeros, so it is like nothing", None
    return "", None, (vector / length).astype("<f4")
