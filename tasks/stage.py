"""A stage: what is known of it without doing it, for plans, gates, views and documents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kasasagi.tasks.gate.gate import Gate

PROMPT_TOKENS_GUESSED = 64
"""Tokens assumed for a prompt that does not exist yet."""
TEMPLATE_TOKENS_GUESSED = 320
"""The same with our own words around it, as taggers, rewriters and judges are asked."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Calls to one model that depend on answers which are not there yet."""

    model: str
    calls: int
    prompt_tokens: int
    """Of all these calls together."""
    most_tokens: int | None
    """Completion tokens of each call at most; None if nothing limits them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the pipeline. Functions take the recipe, which is built on stages and so not named here."""

    name: str
    version: int
    """Raised when the same input would give other rows."""
    wanted: Callable[[Any], bool]
    """Whether a recipe has this stage."""
    models: Callable[[Any], Sequence[str]] = lambda recipe: ()
    """The models that it asks, by their names in the recipe."""
    repairs: Callable[[Any], int] = lambda recipe: 0
    """How often an unreadable reply is asked for once more."""
    calls_each: Callable[[Any], int] = lambda recipe: 1
    """How many calls it makes at once about each row."""
    pays: bool = True
    """Whether it asks models at all."""
    gate: Gate | None = None
    """What is expected of its rows."""
    of_rewrites: bool = True
    """Whether rewritten prompts pass through it too."""
