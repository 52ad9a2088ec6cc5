"""How prompts are rewritten."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from kasasagi.blocks.configuration import with_default_sampling
from kasasagi.blocks.models.kinds import Config, Sampling

Method = Literal["paraphrase", "deeper", "broader"]
ORIGIN = "origin_id"
METHOD = "rewrite"
COLUMNS = (ORIGIN, METHOD)


SAMPLING = Sampling(temperature=0.7, max_tokens=1024)


class RewriteConfig(Config):
    """Which model rewrites the selected prompts, and how; each rewrite is added beside its origin."""

    model: str = Field(description="Name of the model that rewrites.")
    methods: tuple[Method, ...] = Field(
        ("paraphrase",),
        min_length=1,
        description="How each prompt is rewritten, with one call for each method: paraphrase (the same in other "
        "words), deeper (harder) and broader (a rarer one in its field), both after Evol-Instruct (arXiv "
        "2304.12244). The columns origin_id and rewrite name the origin and the method.",
    )
    language: Literal["auto", "en", "ja"] = Field("auto", description="Language of the rewriting prompt.")
    repairs: int = Field(
        1, ge=0, le=1, description="How often an unreadable reply is requested again, with the problem named."
    )
    sampling: Annotated[Sampling, with_default_sampling(SAMPLING)] = Field(
        SAMPLING, description="Sampling parameters of the rewrites."
    )

    @field_validator("methods")
    @classmethod
    def _each_once(cls, methods: tuple[Method, ...]) -> tuple[Method, ...]:
        for method in methods:
            if methods.count(method) > 1:
                raise ValueError(f"{method!r} appears twice; name it once")
        return methods
