"""How the judge is asked."""

from typing import Literal

from pydantic import Field

from blocks.models import Config, Sampling

Aspect = Literal["overall-rating", "helpfulness", "honesty", "instruction-following", "truthfulness"]


class JudgeConfig(Config):
    """Who judges, which aspects, and in which orders the texts are shown."""

    model: str = Field(description="Name of the model that judges.")
    method: Literal["ultrafeedback"] = Field("ultrafeedback", description="The way of judging.")
    aspects: tuple[Aspect, ...] = Field(("overall-rating",), min_length=1, description="What is rated, a call each.")
    orders: Literal["random", "both"] = Field(
        "both", description="One order, drawn from the prompt's digest, or also the turned one."
    )
    language: Literal["auto", "en", "ja"] = Field("auto", description="Language of the judge's prompt.")
    repairs: int = Field(
        1, ge=0, le=1, description="How often an unreadable reply is asked for again, with the fault named."
    )
    sampling: Sampling = Field(Sampling(temperature=0.0, max_tokens=1024), description="Sampling of the judge.")

    @property
    def orderings(self) -> tuple[str, ...]:
        """Names of the orders in which the texts are shown."""
        return ("first", "turned") if self.orders == "both" else ("first",)
