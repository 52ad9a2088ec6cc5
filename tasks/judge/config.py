"""How the judges are asked."""

from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from blocks.models import Config, Sampling

Aspect = Literal["overall-rating", "helpfulness", "honesty", "instruction-following", "truthfulness"]
ORDERINGS = ("first", "turned")


@dataclass(frozen=True, slots=True)
class Voice:
    """One judge's say: its name in the ratings, the model that is asked, and which of that model's samples it is."""

    name: str
    use: str
    draw: int


class JudgeConfig(Config):
    """Who judges, how often, which aspects, and in which orders the texts are shown."""

    model: str | None = Field(None, description="Name of the model that judges.")
    models: tuple[str, ...] = Field((), description="Names of several models that judge, in place of `model`.")
    samples: int = Field(1, ge=1, description="Verdicts of each judge on each question; more than one need randomness.")
    method: Literal["ultrafeedback"] = Field("ultrafeedback", description="The way of judging.")
    aspects: tuple[Aspect, ...] = Field(("overall-rating",), min_length=1, description="What is rated, a call each.")
    orders: Literal["random", "both", "confirm"] = Field(
        "both",
        description="One order, drawn from the prompt's digest; or also the turned one; or the turned one only where "
        "the first leaves the margin that a pair needs.",
    )
    language: Literal["auto", "en", "ja"] = Field("auto", description="Language of the judge's prompt.")
    repairs: int = Field(
        1, ge=0, le=1, description="How often an unreadable reply is asked for again, with the fault named."
    )
    sampling: Sampling = Field(Sampling(temperature=0.0, max_tokens=1024), description="Sampling of the judge.")

    @model_validator(mode="after")
    def _somebody_judges_once(self) -> Self:
        if (self.model is None) == (not self.models):
            raise ValueError("name who judges: either one as model: critic, or several as models: [one, other]")
        if len(set(self.models)) < len(self.models):
            raise ValueError("models names a judge twice; for several verdicts of one judge set samples")
        return self

    @property
    def judges(self) -> tuple[str, ...]:
        """Names of the models that judge."""
        return self.models if self.model is None else (self.model,)

    @property
    def voices(self) -> tuple[Voice, ...]:
        """Everybody who has a say: each sample of each judge, the first under the judge's own name."""
        return tuple(
            Voice(name if draw == 0 else f"{name}#{draw + 1}", name, draw)
            for name in self.judges
            for draw in range(self.samples)
        )

    @property
    def orderings(self) -> tuple[str, ...]:
        """Names of the orders in which the texts may be shown."""
        return ORDERINGS[:1] if self.orders == "random" else ORDERINGS

    @property
    def asked_first(self) -> tuple[str, ...]:
        """Names of the orders that are asked before anything is known."""
        return ORDERINGS if self.orders == "both" else ORDERINGS[:1]
