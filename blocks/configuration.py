"""What every configuration is made of: frozen models, sampling parameters and prices."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """Base of all configuration: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Sampling(Config):
    """Sampling parameters, by their OpenAI names; what is not set is not sent."""

    temperature: float | None = Field(None, ge=0, le=2, description="Randomness; 0 takes the likeliest token.")
    top_p: float | None = Field(None, gt=0, le=1, description="Share of the probability that is sampled from.")
    top_k: int | None = Field(None, ge=-1, description="Number of tokens that are sampled from (vLLM and others).")
    min_p: float | None = Field(None, ge=0, le=1, description="Least probability, relative to the best (vLLM).")
    max_tokens: int | None = Field(None, ge=1, description="Most tokens in an answer.")
    stop: tuple[str, ...] | None = Field(None, description="Texts that end an answer.")
    presence_penalty: float | None = Field(None, ge=-2, le=2, description="Penalty for tokens that occurred.")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, description="Penalty for tokens by their count.")
    repetition_penalty: float | None = Field(None, gt=0, description="Factor against repetition (vLLM, hina).")
    seed: int | None = Field(None, description="Seed; none is sent by default, since it makes equal prompts equal.")

    def parameters(self) -> dict[str, Any]:
        """The parameters that are set, as they stand in a request."""
        return self.model_dump(exclude_none=True)

    def over(self, base: "Sampling") -> "Sampling":
        """These parameters laid over some others: what is set here wins."""
        return base.model_copy(update=self.model_dump(exclude_none=True))


class Price(Config):
    """What a million tokens cost, in US dollars."""

    input: float = Field(0.0, ge=0, description="Dollars for a million prompt tokens.")
    output: float = Field(0.0, ge=0, description="Dollars for a million completion tokens.")

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The price of one call in dollars."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


class Budget(Config):
    """What may be spent, at most, in one run."""

    usd: float | None = Field(None, gt=0, description="Dollars, by the models' prices.")
    tokens: int | None = Field(None, ge=1, description="Tokens of prompts and answers.")
    calls: int | None = Field(None, ge=1, description="Calls that are answered; what the ledger knows costs none.")
