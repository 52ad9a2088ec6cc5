"""How prompts are tagged."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from kasasagi.blocks.configuration import with_default_sampling
from kasasagi.blocks.models.kinds import Config, Sampling
from kasasagi.tasks.tags.labels import KINDS, Kind

SAMPLING = Sampling(temperature=0.0, max_tokens=256)


class TagsConfig(Config):
    """Which model labels the prompts, with which kinds of labels."""

    model: str = Field(description="Name of the model that labels.")
    kinds: tuple[Kind, ...] = Field(
        KINDS,
        min_length=1,
        description="Labels to assign, all in one call: category, quality, difficulty, language, safety. Each becomes"
        " a column that `filter.where` and `select` may use.",
    )
    prefix: str = Field(
        "",
        pattern=r"^[A-Za-z_]*$",
        description="Prefix of the new columns' names, for prompts that already have such columns.",
    )
    language: Literal["auto", "en", "ja"] = Field("auto", description="Language of the labelling prompt.")
    repairs: int = Field(
        1, ge=0, le=1, description="How often an unreadable reply is requested again, with the problem named."
    )
    sampling: Annotated[Sampling, with_default_sampling(SAMPLING)] = Field(
        SAMPLING, description="Sampling of the tags."
    )

    @field_validator("kinds")
    @classmethod
    def _each_once(cls, kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise ValueError(f"{kind!r} appears twice; name it once")
        return kinds

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it adds, in the order of the kinds."""
        return tuple(f"{self.prefix}{kind}" for kind in self.kinds)
