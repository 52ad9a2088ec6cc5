"""Format DPO: the ratings of a prompt's responses become one preference, or a reason why not."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from blocks.models import Config
from blocks.shards import Handle
from blocks.workspace import Run
from tasks.asking import ChunkJob, ChunkResult, keep_chunk, read_rows, set_aside
from tasks.judge.config import JudgeConfig
from tasks.pairing import Candidate, Dropped, Pair, best_vs_worst

STAGE = "format_dpo"
# Raised when the same input would give other rows. 1: first version.
VERSION = 1


class PairsConfig(Config):
    """How pairs are made from rated responses."""

    strategy: Literal["best_vs_worst"] = Field("best_vs_worst", description="Which two responses make a pair.")
    min_margin: float = Field(
        1.0, ge=0, description="Least distance between the two ratings; a tie never makes a pair."
    )


def format_chunk(run: Run, config: PairsConfig, judge: JudgeConfig, job: ChunkJob) -> Handle:
    """Make the pairs of one chunk and keep them."""
    started = time.monotonic()
    prompts = read_rows(run, job.inputs["prompts"], ["prompt_id", "instruction"])
    responses = read_rows(run, job.inputs.get("responses"))
    ratings = read_rows(run, job.inputs.get("ratings"))
    return keep_chunk(run, {}, job, make_pairs(config, judge, prompts, responses, ratings), started)


def make_pairs(
    config: PairsConfig,
    judge: JudgeConfig,
    prompts: Sequence[Mapping[str, Any]],
    responses: Iterable[Mapping[str, Any]],
    ratings: Iterable[Mapping[str, Any]],
) -> ChunkResult:
    """One pair for each prompt that gives one, and a reason for each that does not."""
    rated = candidates_by_prompt(judge, responses, ratings)
    pairs: list[dict[str, Any]] = []
    quarantine: list[dict[str, Any]] = []
    for prompt in prompts:
        outcome = best_vs_worst(rated.get(prompt["prompt_id"], []), config.min_margin)
        if isinstance(outcome, Dropped):
            payload = _payload(prompt, rated.get(prompt["prompt_id"], []))
            quarantine.append(set_aside(STAGE, prompt["prompt_id"], outcome.reason, outcome.detail, payload))
        else:
            pairs.append(_pair(prompt["prompt_id"], outcome))
    return ChunkResult(len(prompts), len(pairs), {"pairs": pairs, "quarantine": quarantine})


def candidates_by_prompt(
    judge: JudgeConfig, responses: Iterable[Mapping[str, Any]], ratings: Iterable[Mapping[str, Any]]
) -> dict[str, list[Candidate]]:
    """The responses of each prompt with one rating for each order that the judge was to see, the mean of its aspects.

    A rating is None where any aspect of that order is missing, so that a half-read verdict makes no pair.
    """
    marks: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in ratings:
        marks[row["response_id"], row["ordering"]][row["aspect"]] = row["rating"]
    candidates: dict[str, list[Candidate]] = defaultdict(list)
    for row in responses:
        of_this = tuple(_mean(marks[row["response_id"], name], judge) for name in judge.orderings)
        candidates[row["prompt_id"]].append(
            Candidate(row["response_id"], row["model"], row["content"], of_this, row["finish_reason"])
        )
    return candidates


def _mean(marks: Mapping[str, float], judge: JudgeConfig) -> float | None:
    known = [marks[aspect] for aspect in judge.aspects if aspect in marks]
    return sum(known) / len(known) if len(known) == len(judge.aspects) else None


def _pair(prompt_id: str, pair: Pair) -> dict[str, Any]:
    return {
        "prompt_id": prompt_id,
        "chosen_id": pair.chosen.response_id,
        "rejected_id": pair.rejected.response_id,
        "chosen_rating": pair.chosen_rating,
        "rejected_rating": pair.rejected_rating,
        "margin": pair.margin,
    }


def _payload(prompt: Mapping[str, Any], candidates: Sequence[Candidate]) -> dict[str, Any]:
    responses = [{"response_id": c.response_id, "model": c.model, "ratings": c.ratings} for c in candidates]
    return {"prompt_id": prompt["prompt_id"], "instruction": prompt["instruction"], "responses": responses}
