"""Synthesize: a chat model invents instructions when it is given only what stands before the user's words (Magpie)."""

from tasks.synthesize.config import DEFAULT_RULES, MagpieSource
from tasks.synthesize.counting import DRAWS_IN_A_CHUNK, draws_wanted
from tasks.synthesize.packs import SteeringError
from tasks.synthesize.stage import (
    RANK,
    STAGE,
    VERSION,
    Draw,
    draws_for,
    prompts_from_draws,
    sort_draws,
    synthesize_chunk,
)
from tasks.synthesize.steering import Steering
from tasks.synthesize.templates import first_system, own_words, pre_query_of

__all__ = [
    "DEFAULT_RULES",
    "DRAWS_IN_A_CHUNK",
    "RANK",
    "STAGE",
    "VERSION",
    "Draw",
    "MagpieSource",
    "Steering",
    "SteeringError",
    "draws_for",
    "draws_wanted",
    "first_system",
    "own_words",
    "pre_query_of",
    "prompts_from_draws",
    "sort_draws",
    "synthesize_chunk",
]
