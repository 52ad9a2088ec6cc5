"""What the stage knows of refusals: which prompts are unsafe, which responses refuse, and what a pair says of it."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from kasasagi.blocks.canonical import digest_file
from kasasagi.tasks.filter.sql import SqlSandbox
from kasasagi.tasks.pairing import Candidate, Pair, Refusals, Safety
from kasasagi.tasks.text import refusals
from kasasagi.tasks.text.classifier.classifier import WEIGHTS
from kasasagi.tasks.text.refusals import refusal_in

UNSAFE = "unsafe_prompt"
SAFETY_COLUMNS = (pa.field(UNSAFE, pa.bool_()), pa.field("refusal_side", pa.string()))
"""The columns that pairs have where refusals are sides of pairs."""


def unsafe_prompts(config: Safety, prompts: pa.Table) -> list[bool | None]:
    """Return for each prompt whether it is unsafe; None where the condition is NULL or fails."""
    if not prompts.num_rows:
        return []
    [batch] = prompts.combine_chunks().to_batches()
    with SqlSandbox() as sandbox:
        [found] = sandbox.predicates({"unsafe": config.unsafe}, batch)
    return found


def refusals_of(
    config: Safety | None, prompts: Sequence[Mapping[str, Any]], rated: Mapping[str, Sequence[Candidate]]
) -> dict[str, Refusals]:
    """Return by prompt_id what is known of refusals; nothing where refusals are no sides of pairs."""
    if config is None:
        return {}
    return {
        prompt["prompt_id"]: Refusals.of(
            config, prompt[UNSAFE], rated.get(prompt["prompt_id"], []), partial(_refuses, prompt["instruction"])
        )
        for prompt in prompts
    }


def _refuses(instruction: str, content: str) -> bool:
    return refusal_in(instruction, content) is not None


def columns_of(known: Refusals | None, pair: Pair) -> dict[str, Any]:
    """Return what a pair's row says of refusals: whether its prompt is unsafe, and which side refuses."""
    return {} if known is None else {UNSAFE: known.unsafe, "refusal_side": known.side(pair)}


def classifier_digests() -> list[str]:
    """Return the digests of what tells refusals, for cache keys."""
    return [digest_file(Path(str(refusals.__file__))), digest_file(WEIGHTS / "refusals.json")]
