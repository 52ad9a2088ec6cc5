"""The strategies by the names that a recipe uses, all asked in the same way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kasasagi.blocks.own.registry import Registry
from kasasagi.tasks.pairing.candidates import Candidate, Dropped, Pair
from kasasagi.tasks.pairing.conditions import Conditions
from kasasagi.tasks.pairing.strategies import (
    all_above_margin,
    best_vs_random,
    best_vs_worst,
    chosen_by,
    sigma,
    strong_vs_weak,
)


@dataclass(frozen=True, slots=True)
class PairingCase:
    """One prompt's responses, and what the recipe says of the pairs that are made of them."""

    prompt_id: str
    candidates: Sequence[Candidate]
    min_margin: float
    conditions: Conditions
    max_pairs: int | None = None
    deviations: float = 2.0
    strong: Sequence[str] = ()
    weak: Sequence[str] = ()


Strategy = Callable[[PairingCase], list[Pair] | Pair | Dropped]


def _own(name: str, function: Callable[[list[Candidate]], Any]) -> Strategy:
    return lambda case: chosen_by(function, case.candidates, case.min_margin)


STRATEGIES: Registry[Strategy] = Registry(
    "strategy",
    {
        "best_vs_worst": lambda case: best_vs_worst(case.candidates, case.min_margin),
        "best_vs_random": lambda case: best_vs_random(case.prompt_id, case.candidates, case.min_margin),
        "all_above_margin": lambda case: all_above_margin(
            case.candidates, case.min_margin, case.conditions, case.max_pairs
        ),
        "sigma": lambda case: sigma(case.candidates, case.min_margin, case.deviations),
        "strong_vs_weak": lambda case: strong_vs_weak(case.prompt_id, case.candidates, case.strong, case.weak),
    },
    _own,
)
