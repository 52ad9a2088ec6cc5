"""Format DPO: a prompt's responses become preferences, one or several by the strategy, or a reason why not."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from blocks.models import Config
from blocks.shards import Handle
from blocks.workspace import Run
from tasks.asking import ChunkJob, ChunkResult, keep_chunk, read_rows, set_aside
from tasks.audit import audit
from tasks.judge.config import JudgeConfig
from tasks.judge.votes import Weighing, candidates_by_prompt
from tasks.pairing import (
    Candidate,
    Conditions,
    Dropped,
    OnPolicy,
    Pair,
    TokenLimit,
    all_above_margin,
    best_vs_random,
    best_vs_worst,
    broken_condition,
    keep_share,
    sigma,
    strong_vs_weak,
)
from tasks.student import TokenCounter, TokenLimits
from tasks.thinking import with_thinking

STAGE = "format_dpo"
# Raised when the same input would give other rows. 2: what rounding adds to a mean or takes from it decides nothing.
VERSION = 2


Strategy = Literal["best_vs_worst", "best_vs_random", "all_above_margin", "sigma", "strong_vs_weak"]


class PairsConfig(Config):
    """How pairs are made from rated responses.

    A strategy names two responses and tries no others, so that a prompt gives one pair or a reason; but
    `all_above_margin` tries every two of them. Conditions then hold for a pair or drop it, with a reason. Only
    `on_policy` looks at several prompts at once: at those of a chunk, which is some hundred of them.
    """

    strategy: Strategy = Field("best_vs_worst", description="Which two responses make a pair.")
    min_margin: float = Field(
        1.0, ge=0, description="Least distance between the two ratings; a tie never makes a pair."
    )
    aspects: Literal["mean", "minimum"] | dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        "mean", description="How several aspects become one rating: their mean, the lowest, or a mean with weights."
    )
    judges: Literal["mean", "median", "majority"] = Field(
        "mean",
        description="How several judges become one: by mean or median; majority takes the mean, and needs more than "
        "half of them behind a pair.",
    )
    quorum: int | None = Field(
        None,
        ge=1,
        description="Judges (each sample of each is one) that must have rated all responses of a prompt; the others "
        "are left out of it. All of them unless said.",
    )
    max_pairs: int | None = Field(None, ge=1, description="Most pairs a prompt, the widest first: all_above_margin.")
    deviations: float = Field(
        2.0, ge=0, le=10, description="Standard deviations below the mean that are rejected: sigma."
    )
    strong: tuple[str, ...] = Field((), description="Models whose answers are chosen: strong_vs_weak.")
    weak: tuple[str, ...] = Field((), description="Models whose answers are rejected: strong_vs_weak.")
    min_chosen_rating: float | None = Field(
        None, allow_inf_nan=False, description="Least rating of the chosen response."
    )
    models: Literal["any", "same", "different"] = Field(
        "any", description="Whether the two responses are by one model or by two."
    )
    max_length_ratio: float | None = Field(
        None, ge=1, allow_inf_nan=False, description="Most times that one text is as long as the other, in characters."
    )
    max_length_difference: int | None = Field(
        None, ge=0, description="Most characters that one text is longer than the other."
    )
    max_similarity: float | None = Field(
        None, ge=0, le=1, description="Most of their distinct character trigrams that the two texts share."
    )

    max_tokens: TokenLimits | None = Field(
        None, description="Most tokens for the student, as {tokenizer: my/student, prompt: 512, total: 2048}."
    )
    on_policy: OnPolicy | None = Field(
        None, description="Least share of pairs by the student itself, as {models: [student], share: 0.5}."
    )

    @model_validator(mode="after")
    def _fields_fit_the_strategy(self) -> Self:
        fault = self._misplaced() or self._strong_and_weak() or self._weightless()
        if fault:
            raise ValueError(fault)
        return self

    def _misplaced(self) -> str | None:
        """A setting that the strategy would not heed: saying nothing would be a broken promise."""
        if self.max_pairs is not None and self.strategy != "all_above_margin":
            return f"max_pairs is for all_above_margin; {self.strategy} makes one pair a prompt, so leave it out"
        if self.strategy != "sigma" and self.deviations != PairsConfig.model_fields["deviations"].default:
            return f"deviations is for sigma; {self.strategy} has no use for it, so leave it out"
        if self.strategy != "strong_vs_weak" and (self.strong or self.weak):
            return f"strong and weak are for strong_vs_weak; {self.strategy} goes by ratings, so leave them out"
        if self.strategy == "strong_vs_weak" and self.min_chosen_rating is not None:
            return "min_chosen_rating asks for ratings, and strong_vs_weak heeds none, so leave it out"
        return None

    def _strong_and_weak(self) -> str | None:
        if self.strategy != "strong_vs_weak":
            return None
        if not self.strong or not self.weak:
            return "strong_vs_weak needs the models of both sides: name them as strong: [large] and weak: [small]"
        both = sorted(set(self.strong) & set(self.weak))
        return f"{both[0]!r} is named both as strong and as weak; it can be but one of them" if both else None

    def _weightless(self) -> str | None:
        if isinstance(self.aspects, str) or any(self.aspects.values()):
            return None
        return "aspects has no weight above 0, so nothing would count; give one to an aspect that is judged"

    def weighing(self) -> Weighing:
        """How the marks of a response become one number, and how far two must lie apart."""
        return Weighing(self.min_margin, self.aspects, self.judges, self.quorum)

    def conditions(self) -> Conditions:
        """What a pair must meet beside its strategy's promises, but for the tokens, which depend on its prompt."""
        return Conditions(
            self.min_chosen_rating, self.models, self.max_length_ratio, self.max_length_difference, self.max_similarity
        )


def format_chunk(
    run: Run, config: PairsConfig, judge: JudgeConfig | None, job: ChunkJob, counter: TokenCounter | None = None
) -> Handle:
    """Make the pairs of one chunk and keep them; without a judge nothing is rated.

    counter is wanted where config limits tokens.
    """
    started = time.monotonic()
    columns = ["prompt_id", "instruction", *(["messages"] if counter else [])]
    prompts = read_rows(run, job.inputs["prompts"], columns)
    responses = read_rows(run, job.inputs.get("responses"))
    ratings = read_rows(run, job.inputs.get("ratings"))
    result = make_pairs(config, judge, prompts, responses, ratings, counter)
    if claims := read_rows(run, job.inputs.get("claims")):
        result.rows["audit"] = audit(candidates_by_prompt(judge, config.weighing(), responses, ratings), claims)
    return keep_chunk(run, {}, job, result, started)


def make_pairs(
    config: PairsConfig,
    judge: JudgeConfig | None,
    prompts: Sequence[Mapping[str, Any]],
    responses: Iterable[Mapping[str, Any]],
    ratings: Iterable[Mapping[str, Any]],
    counter: TokenCounter | None = None,
) -> ChunkResult:
    """The pairs of each prompt that gives any, and a reason for each that does not; rows out are prompts with pairs."""
    rated = candidates_by_prompt(judge, config.weighing(), responses, ratings)
    outcomes = {
        prompt["prompt_id"]: pairs_of(config, prompt, rated.get(prompt["prompt_id"], []), counter) for prompt in prompts
    }
    if config.on_policy is not None:
        outcomes = keep_share(config.on_policy, outcomes)
    pairs: list[dict[str, Any]] = []
    quarantine: list[dict[str, Any]] = []
    for prompt in prompts:
        prompt_id = prompt["prompt_id"]
        outcome = outcomes[prompt_id]
        if isinstance(outcome, Dropped):
            payload = _payload(prompt, rated.get(prompt_id, []))
            quarantine.append(set_aside(STAGE, prompt_id, outcome.reason, outcome.detail, payload))
        else:
            pairs += [_pair(prompt_id, pair) for pair in outcome]
    rows = {"pairs": pairs, "quarantine": quarantine}
    return ChunkResult(len(prompts), len(prompts) - len(quarantine), rows)


def pairs_of(
    config: PairsConfig,
    prompt: Mapping[str, Any],
    candidates: Sequence[Candidate],
    counter: TokenCounter | None = None,
) -> list[Pair] | Dropped:
    """The pairs of one prompt, at least one, or why there is none; prompt holds its id, and messages for a counter."""
    conditions = config.conditions()
    if config.max_tokens is not None and counter is not None:
        messages = prompt["messages"]
        if (dropped := _long_prompt(config.max_tokens, counter.prompt(messages))) is not None:
            return dropped
        conditions = replace(conditions, total_tokens=_total(config.max_tokens, counter, messages))
    if config.strategy == "all_above_margin":
        return all_above_margin(candidates, config.min_margin, conditions, config.max_pairs)
    outcome = _one_pair(config, prompt["prompt_id"], candidates)
    if isinstance(outcome, Dropped):
        return outcome
    return broken_condition(conditions, outcome) or [outcome]


def _long_prompt(limits: TokenLimits, tokens: int | None) -> Dropped | None:
    if tokens is None:
        return Dropped("chat_template", "the student's chat template refuses the prompt")
    if limits.prompt is None or tokens <= limits.prompt:
        return None
    return Dropped("prompt_tokens", f"the prompt has {tokens} tokens, and {limits.prompt} are allowed")


def _total(limits: TokenLimits, counter: TokenCounter, messages: Sequence[Mapping[str, str]]) -> TokenLimit | None:
    """Counts a prompt's responses, each once."""
    if limits.total is None:
        return None

    @lru_cache
    def count(candidate: Candidate) -> int | None:
        thinking = candidate.thinking if limits.thinking else None
        return counter.total(messages, with_thinking(candidate.content, thinking))

    return TokenLimit(limits.total, count)


def _one_pair(config: PairsConfig, prompt_id: str, candidates: Sequence[Candidate]) -> Pair | Dropped:
    match config.strategy:
        case "best_vs_random":
            return best_vs_random(prompt_id, candidates, config.min_margin)
        case "sigma":
            return sigma(candidates, config.min_margin, config.deviations)
        case "strong_vs_weak":
            return strong_vs_weak(prompt_id, candidates, config.strong, config.weak)
        case _:
            return best_vs_worst(candidates, config.min_margin)


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
