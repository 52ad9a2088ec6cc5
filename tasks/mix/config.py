"""What a mix is made of: finished runs, and how many of their pairs it takes."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from kasasagi.blocks.models.kinds import Config

PART_COLUMNS = ("part", "part_run")
"""Columns that a mix adds to the prompts: the part's name in the recipe, and the id of its run."""
NEAR = 0.7
"""The likeness from which on prompts of a mix are near duplicates, unless the recipe names another."""
ROUNDING = 0.015
"""How much the shares may miss 1, so that a third can be written as 0.33."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class MixError(ValueError):
    """Runs that cannot be mixed: the place, the value, the reason and the remedy in one sentence."""


class Part(Config):
    """One part of a mix: a finished run, and how many of its pairs are taken; without share and pairs, all."""

    run: str | None = Field(
        None, min_length=1, description="Id of a run that made pairs and ended well, or its first characters."
    )
    recipe: str | None = Field(
        None, min_length=1, description="Name of a recipe, instead of `run`: its latest run that ended well is taken."
    )
    workspace: str | None = Field(
        None, min_length=1, description="Workspace of the run, as a path; default: the workspace of the mix."
    )
    share: float | None = Field(None, gt=0, le=1, description="Share of the mix's pairs that this part gives.")
    pairs: int | None = Field(None, ge=1, description="Number of pairs that this part gives, instead of `share`.")
    priority: int = Field(
        0,
        description="Of duplicates in several parts, the one in the part with the highest priority stays; between "
        "equal priorities a digest decides.",
    )

    @model_validator(mode="after")
    def _names_one_run(self) -> Self:
        if (self.run is None) == (self.recipe is None):
            raise ValueError("a part is one run: name it by run, or the recipe whose latest run is taken by recipe")
        return self


class RunsSource(Config):
    """A mix: pairs of finished runs, without duplicates, with given shares. No model is called."""

    kind: Literal["runs"] = Field(
        default="runs", description="Where pairs come from: `runs` mixes the pairs of finished runs."
    )
    parts: dict[str, Part] = Field(min_length=1, description="The parts, by names of your choice.")
    pairs: int | None = Field(
        None,
        ge=1,
        description="Number of pairs of the mix, divided by the shares; default: as many as the shares allow.",
    )
    seed: int = Field(0, description="Seed of the order in which the pairs of a part are taken.")

    @field_validator("parts")
    @classmethod
    def _names_are_plain(cls, parts: dict[str, Part]) -> dict[str, Part]:
        if (strange := next((name for name in parts if not _NAME.fullmatch(name)), None)) is not None:
            raise ValueError(
                f"parts: {strange!r} has not the form of a name; write up to 64 letters, digits, points, - and _, the "
                "first a letter or a digit"
            )
        return parts

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        some = self.parts.values()
        kinds = {("share" if one.share is not None else "pairs" if one.pairs is not None else "all") for one in some}
        if any(one.share is not None and one.pairs is not None for one in some) or len(kinds) > 1:
            raise ValueError(
                "the parts take their pairs in different ways; write share for all of them, pairs, or neither"
            )
        total = sum(one.share or 0 for one in some)
        if kinds == {"share"} and abs(total - 1) > ROUNDING:
            raise ValueError(f"the shares of the parts add up to {total:g} and not to 1; change one of them")
        if self.pairs is not None and kinds != {"share"}:
            raise ValueError("pairs: a number for the whole mix is divided by shares; write share for each part")
        return self
