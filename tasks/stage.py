"""A stage: what is known of it without doing it, for plans, gates, views and documents."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol

from kasasagi.blocks.tables import Table
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
class Example:
    """A request of a stage, rendered for a person; the title has {model} where the model's name belongs."""

    title: str
    model: str
    text: str


class Examples(Protocol):
    """Renders what a stage asks about one row."""

    def __call__(self, recipe: Any, base: Path, row: dict[str, Any]) -> Iterator[Example]:
        """Yield one example for each model that is asked.

        Args:
            recipe: A recipe that has the stage.
            base: Its folder.
            row: A prompt.
        """


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the pipeline. Functions take the recipe, which is built on stages and so not named here.

    `task` and `example` are written as module:name, since what is known of a stage must be known without importing
    what does it.
    """

    name: str
    version: int
    """Raised when the same input would give other rows."""
    wanted: Callable[[Any], bool]
    """Whether a recipe has this stage."""
    task: str
    """Its Prefect task."""
    tables: Sequence[Table] = ()
    """The tables that hold its rows, besides those of all stages and those of the stage whose rows it makes again."""
    named_models: Callable[[Any], Sequence[tuple[str, str]]] = lambda recipe: ()
    """The models that it asks, by their names in the recipe, each behind the place there that names it."""
    needs_words: bool = True
    """Whether its models must give words; reward models give numbers alone."""
    example: str | None = None
    """What renders its requests for a person (Examples)."""
    columns: Callable[[Any], Sequence[str]] = lambda recipe: ()
    """The columns that it adds to the prompts."""
    if_taken: str = "rename that one"
    """The remedy where the prompts have such a column already."""
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

    def models(self, recipe: Any) -> list[str]:
        """Return the models that it asks, by their names in the recipe."""
        return [name for _, name in self.named_models(recipe)]

    def examples(self, recipe: Any, base: Path, row: dict[str, Any]) -> Iterator[Example]:
        """Yield what it asks about a row; nothing where the recipe leaves it out, or where it asks nothing.

        Args:
            recipe: The recipe.
            base: Its folder.
            row: A prompt.
        """
        if self.example is not None and self.wanted(recipe):
            render: Examples = resolve_name(self.example)
            yield from render(recipe, base, row)


def model_of(part: str) -> Callable[[Any], list[tuple[str, str]]]:
    """Return a function that gives the one model which a part of the recipe names under `model`, and its place."""

    def named(recipe: Any) -> list[tuple[str, str]]:
        config = getattr(recipe, part)
        return [] if config is None else [(f"{part}.model", config.model)]

    return named
