"""Synthesize: a chat model invents instructions when it is given only what stands before the user's words (Magpie)."""

from tasks.synthesize.config import DEFAULT_RULES, MagpieSource, round_of_the_day
from tasks.synthesize.counting import DRAWS_IN_A_CHUNK, draws_wanted, limited
from tasks.synthesize.packs import SteeringError
from tasks.synthesize.stage import (
    RANK,
    STAGE,
    VERSION,
    Draw,
    draws_for,
    prompts_from_draws,
    prompts_table,
    sort_draws,
    synthesize_chunk,
)
from tasks.synthesize.steering import Steering
from tasks.synthesize.templates import first_system, own_words, pre_query_of, with_stops, without_line_stops
from tasks.synthesize.yields import RunningYield, Yield, misses, plainly_misses, remedy

__all__ = [
    "DEFAULT_RULES",
    "DRAWS_IN_A_CHUNK",
    "RANK",
    "STAGE",
    "VERSION",
    "Draw",
    "MagpieSource",
    "RunningYield",
    "Steering",
    "SteeringError",
    "Yield",
    "draws_for",
    "draws_wanted",
    "first_system",
    "limited",
    "misses",
    "own_words",
    "plainly_misses",
    "pre_query_of",
    "prompts_from_draws",
    "prompts_table",
    "remedy",
    "round_of_the_day",
    "sort_draws",
    "synthesize_chunk",
    "with_stops",
    "without_line_stops",
]
