"""Format DPO: a prompt's responses become preferences, one or several by the strategy, or a reason why not."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, ChunkResult, keep_chunk, quarantine_row, read_rows
from kasasagi.tasks.audit import audit
from kasasagi.tasks.format_dpo.chosen_prompts import PromptChoice
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.format_dpo.refusals import SAFETY_COLUMNS, UNSAFE, columns_of, refusals_of, unsafe_prompts
from kasasagi.tasks.format_dpo.response_columns import RESPONSE_COLUMNS
from kasasagi.tasks.format_dpo.stage import FORMAT_DPO
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.votes import candidates_by_prompt
from kasasagi.tasks.pairing import (
    Candidate,
    Dropped,
    Pair,
    Refusals,
    TokenLimit,
    broken_condition,
    keep_share,
)
from kasasagi.tasks.pairing.named import STRATEGIES, PairingCase, Strategy
from kasasagi.tasks.text.thoughts.thinking import with_thinking
from kasasagi.tasks.token_counts import TokenCounter, TokenLimits

SURPLUS = Dropped("surplus", "more pairs were made than the target of pairs")


def format_chunk(
    run: Run,
    config: PairsConfig,
    judge: JudgeConfig | None,
    job: ChunkJob,
    counter: TokenCounter | None = None,
    base: Path = Path(),
) -> Handle:
    """Make the pairs of one chunk and keep them.

    Args:
        run: The run.
        config: How pairs are made.
        judge: Who judged; without a judge nothing is rated.
        job: The chunk; its parameter `most` says how many pairs are kept where a target leaves out some.
        counter: Who counts tokens, where config limits them.
        base: The recipe's folder, where a strategy of a user's own lies.
    """
    started = time.monotonic()
    prompts = _read_prompts(run, config, job, with_messages=counter is not None)
    responses = read_rows(run, job.inputs.get("responses"))
    ratings = read_rows(run, job.inputs.get("ratings"))
    rated = candidates_by_prompt(judge, config.aggregation(), responses, ratings)
    choice = PromptChoice.of(run, config, judge, job, rated)
    chosen = [prompt for prompt in prompts if prompt["prompt_id"] not in choice.rejected]
    result = make_pairs(config, chosen, rated, counter, base, job.params.get("most"))
    result = _with_choice(result, choice, prompts, rated)
    if source_labels := read_rows(run, job.inputs.get("claims")):
        result.rows["audit"] = audit(rated, source_labels)
    return keep_chunk(run, {}, job, result, started)


def _with_choice(
    result: ChunkResult,
    choice: PromptChoice,
    prompts: Sequence[Mapping[str, Any]],
    rated: Mapping[str, Sequence[Candidate]],
) -> ChunkResult:
    """Return the pairs with what the responses showed, and with the prompts that were not chosen in quarantine."""
    if not choice.columns:
        return result
    pairs = [{**pair, **choice.columns[pair["prompt_id"]]} for pair in result.rows["pairs"]]
    rejected = []
    for prompt in prompts:
        if (name := prompt["prompt_id"]) in choice.rejected:
            payload = {**_payload(prompt, rated.get(name, [])), **choice.columns[name]}
            rejected.append(quarantine_row(FORMAT_DPO.name, name, *choice.rejected[name], payload))
    return replace(
        result,
        rows_in=result.rows_in + len(rejected),
        rows={**result.rows, "pairs": pairs, "quarantine": [*result.rows["quarantine"], *rejected]},
        more={"pairs": [*result.more.get("pairs", ()), *RESPONSE_COLUMNS]},
        tables=choice.shown,
    )


def _read_prompts(run: Run, config: PairsConfig, job: ChunkJob, with_messages: bool) -> list[dict[str, Any]]:
    """Return the prompts of a chunk, with what is needed of them, and whether they are unsafe where that counts."""
    columns = ["prompt_id", "instruction", *(["messages"] if with_messages else [])]
    prompts = read_rows(run, job.inputs["prompts"], columns)
    if config.safety is None:
        return prompts
    unsafe = unsafe_prompts(config.safety, run.workspace.shards.read(job.inputs["prompts"]))
    return [{**prompt, UNSAFE: value} for prompt, value in zip(prompts, unsafe, strict=True)]


def make_pairs(
    config: PairsConfig,
    prompts: Sequence[Mapping[str, Any]],
    rated: Mapping[str, Sequence[Candidate]],
    counter: TokenCounter | None = None,
    base: Path = Path(),
    most: int | None = None,
) -> ChunkResult:
    """Return the pairs of each prompt that gives any, and a reason for each that does not.

    Args:
        config: How pairs are made.
        prompts: The prompts, with their messages where tokens are counted.
        rated: Their responses by prompt_id.
        counter: Who counts tokens, where config limits them.
        base: The recipe's folder, where a strategy of a user's own lies.
        most: How many pairs are kept, of the earliest prompts; None keeps all.

    Returns:
        The rows; rows out are prompts with pairs.
    """
    strategy = STRATEGIES.find(config.strategy, base)
    refusals = refusals_of(config.safety, prompts, rated)
    outcomes = {
        prompt_id: pairs_of(
            config, strategy, prompt, rated.get(prompt_id, []), counter, refusals=refusals.get(prompt_id)
        )
        for prompt in prompts
        for prompt_id in [prompt["prompt_id"]]
    }
    if config.on_policy is not None:
        outcomes = keep_share(config.on_policy, outcomes)
    pairs: list[dict[str, Any]] = []
    quarantine: list[dict[str, Any]] = []
    for prompt in prompts:
        prompt_id = prompt["prompt_id"]
        outcome = outcomes[prompt_id]
        if most is not None and not isinstance(outcome, Dropped):
            outcome = outcome[: most - len(pairs)] or SURPLUS
        if isinstance(outcome, Dropped):
            payload = _payload(prompt, rated.get(prompt_id, []))
            quarantine.append(quarantine_row(FORMAT_DPO.name, prompt_id, outcome.reason, outcome.detail, payload))
        else:
            pairs += [{**_pair(prompt_id, pair), **columns_of(refusals.get(prompt_id), pair)} for pair in outcome]
    rows = {"pairs": pairs, "quarantine": quarantine}
    more = {"pairs": SAFETY_COLUMNS} if config.safety else {}
    return ChunkResult(len(prompts), len(prompts) - len(quarantine), rows, more=more)


def pairs_of(
    config: PairsConfig,
    strategy: Strategy,
    prompt: Mapping[str, Any],
    candidates: Sequence[Candidate],
    counter: TokenCounter | None = None,
    *,
    refusals: Refusals | None = None,
) -> list[Pair] | Dropped:
    """Return the pairs of one prompt, at least one, or why there is none.

    Args:
        config: How pairs are made.
        strategy: Who names the responses of a pair.
        prompt: The prompt's id, and its messages where tokens are counted.
        candidates: Its responses.
        counter: Who counts tokens, where config limits them.
        refusals: What is known of the responses that refuse, where refusals are sides of pairs.
    """
    conditions = config.conditions()
    if refusals is not None:
        strong = config.strong if config.strategy == "strong_vs_weak" else ()
        weighed = refusals.weigh(candidates, config.min_margin or 1.0, strong)
        if isinstance(weighed, Dropped):
            return weighed
        found = pairs_of(config, strategy, prompt, weighed, counter)
        return found if isinstance(found, Dropped) else [refusals.restore(pair, candidates) for pair in found]
    if config.max_tokens is not None and counter is not None:
        messages = prompt["messages"]
        if (dropped := _long_prompt(config.max_tokens, counter.prompt(messages))) is not None:
            return dropped
        conditions = replace(conditions, total_tokens=_total(config.max_tokens, counter, messages))
    outcome = strategy(
        PairingCase(
            prompt["prompt_id"],
            candidates,
            config.min_margin,
            conditions,
            config.max_pairs,
            config.deviations,
            config.strong,
            config.weak,
        )
    )
    if isinstance(outcome, Pair):
        return broken_condition(conditions, outcome) or [outcome]
    return outcome


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
