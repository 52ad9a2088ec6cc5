"""Synthesize: a chat model invents instructions when it is given only what stands before the user's words (Magpie)."""

from kasasagi.tasks.lazy_imports import lazily
from kasasagi.tasks.synthesize.config import DEFAULT_RULES, MagpieSource, round_of_the_day
from kasasagi.tasks.synthesize.counting import (
    DRAWS_IN_A_CHUNK,
    apply_limit,
    chunks_of_draws,
    draws_wanted,
    estimate_draws,
)
from kasasagi.tasks.synthesize.draws import (
    Draw,
    draws_for,
    prompts_from_draws,
    prompts_table,
    sort_draws,
    synthesize_chunk,
)
from kasasagi.tasks.synthesize.packs import SteeringError
from kasasagi.tasks.synthesize.steering import Steering
from kasasagi.tasks.synthesize.templates import first_system, pre_query_of, template_key, with_stops, without_line_stops
from kasasagi.tasks.synthesize.yields import RunningYield, Yield, below_floor, clearly_below_floor, remedy

__all__ = [
    "DEFAULT_RULES",
    "DRAWS_IN_A_CHUNK",
    "Draw",
    "MagpieSource",
    "RunningYield",
    "Steering",
    "SteeringError",
    "Yield",
    "apply_limit",
    "below_floor",
    "chunks_of_draws",
    "clearly_below_floor",
    "draws_for",
    "draws_wanted",
    "estimate_draws",
    "first_system",
    "pre_query_of",
    "prompts_from_draws",
    "prompts_table",
    "remedy",
    "round_of_the_day",
    "sort_draws",
    "synthesize_chunk",
    "template_key",
    "with_stops",
    "without_line_stops",
]

__getattr__ = lazily(__name__, synthesize="task")
