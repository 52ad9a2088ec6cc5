"""The expected values: what they consist of, where they lie, and how they are compared."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import digest
from tests.golden.cases import HERE, load, rows
from tests.golden.driver import Driven, drive, plans

FOLDER = HERE / "expected"
SHOWN = 3


def read(name: str) -> dict[str, Any]:
    """Return the expected values of one file."""
    return dict(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def write(name: str, values: Mapping[str, Any]) -> None:
    """Write the expected values of one file."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


@cache
def driven(case: str, folder: Path) -> Driven:
    """Return what a recipe asks; it is taken through its stages once for each folder."""
    return drive(load(case), folder / case / "driven", rows(case))


def ledger_keys(case: str, folder: Path) -> dict[str, Any]:
    """Return the ledger keys of each stage that asks: how many, their digest, and the first of them in order."""
    found = {stage: sorted(set(keys)) for stage, keys in driven(case, folder).ledger_keys.items() if keys}
    return {stage: [len(keys), digest(keys), *keys[:SHOWN]] for stage, keys in found.items()}


def cache_keys(case: str, folder: Path) -> dict[str, dict[str, str]]:
    """Return the cache key of each chunk, by stage."""
    return dict(driven(case, folder).cache_keys)


def plans_of_ledgers(case: str, folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the plans of each stage where the ledger knows nothing, about half of the answers, and all of them."""
    entries = driven(case, folder).entries
    half = [entry for entry in entries if int(entry.key[-1], 16) % 2]
    known = {"nothing": [], "half": half, "everything": entries}
    found = {name: plans(load(case), folder / case / name, rows(case), some) for name, some in known.items()}
    return {name: {plan.stage: _counts(plan) for plan in some} for name, some in found.items()}


def _counts(plan: Any) -> dict[str, Any]:
    counts = {"calls": plan.calls, "known": plan.known, "to_pay": plan.to_pay, "at_most": plan.at_most}
    tokens = {"prompt_tokens": plan.prompt_tokens, "completion_tokens": plan.completion_tokens}
    return {**counts, **tokens, "cost_usd": round(plan.cost_usd, 9), "repairs": plan.repairs}
