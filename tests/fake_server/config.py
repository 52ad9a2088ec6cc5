"""The settings of the fake server: which models it has, how fast it answers, and how it fails."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Rate = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0)]
Reasoning = Literal["none", "field", "field_content", "think_tags", "lone_close"]
InstructionLanguage = Literal["auto", "en", "ja", "mixed"]


class FaultRates(BaseModel):
    """How many of the requests meet which fault, as shares from 0 to 1.

    The transient ones together make at most 1, and so do the lasting ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    http_429: Rate = Field(default=0.0, description="Transient: status 429 with Retry-After, at once.")
    http_500: Rate = Field(default=0.0, description="Transient: status 500, at once.")
    reset: Rate = Field(default=0.0, description="Transient: the connection is reset without an answer, at once.")
    hang: Rate = Field(default=0.0, description="Transient: nothing is ever answered; ends when the client goes away.")
    slow: Rate = Field(default=0.0, description="Transient: the good answer comes `slow_s` later.")
    cut_body: Rate = Field(
        default=0.0, description="Transient: half of the announced body, then the connection is closed."
    )
    malformed_json: Rate = Field(default=0.0, description="Transient: status 200 with a body that is no JSON.")
    broken_off: Rate = Field(
        default=0.0, description="Transient: status 200 with half of the text, finish_reason error."
    )
    context_too_long: Rate = Field(default=0.0, description="Lasting: status 400, code context_length_exceeded.")
    refusal: Rate = Field(default=0.0, description="Lasting: the content is a refusal, in the language of the request.")
    empty_content: Rate = Field(default=0.0, description="Lasting: the content is empty.")
    truncated: Rate = Field(default=0.0, description="Lasting: the content stops in its middle, finish_reason length.")

    @model_validator(mode="after")
    def _sums(self) -> "FaultRates":
        for kind, rates in (("transient", self.transient()), ("lasting", self.lasting())):
            total = sum(rate for _, rate in rates)
            if total > 1.0 + 1e-9:
                raise ValueError(f"the {kind} fault rates sum to {total:g}, which is more than 1: lower one of them")
        return self

    def transient(self) -> tuple[tuple[str, float], ...]:
        """The faults that are drawn again for each attempt, with their rates; those of rate 0 left out."""
        return self._rates("http_429", "http_500", "reset", "hang", "slow", "cut_body", "malformed_json", "broken_off")

    def lasting(self) -> tuple[tuple[str, float], ...]:
        """The faults that a request meets on every attempt, with their rates; those of rate 0 left out."""
        return self._rates("context_too_long", "refusal", "empty_content", "truncated")

    def _rates(self, *names: str) -> tuple[tuple[str, float], ...]:
        return tuple((name, getattr(self, name)) for name in names if getattr(self, name) > 0.0)


class ServerConfig(BaseModel):
    """All settings of the fake server; the default is a server that answers anything at once and well."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] | None = Field(
        default=None, description="The models it has; another is a 404. Null: any name."
    )
    api_key: str | None = Field(default=None, description="The bearer key that every /v1 request must carry; else 401.")
    key_status: Literal[400, 401] = Field(
        default=401, description="The status of the answer to a wrong key; 400 has Gemini's words and form."
    )
    credit: int | None = Field(
        default=None, ge=0, description="Good answers until every call fails with 400 and Anthropic's words for that."
    )
    status_all: int | None = Field(
        default=None, ge=400, le=599, description="The status with which every /v1 request fails."
    )
    headers: dict[str, str] = Field(
        default={}, description="Extra headers of every /v1 POST answer, such as rate limits."
    )
    record: int = Field(default=10_000, ge=0, description="How many request bodies are kept for `requests()`; 0: none.")
    owned_by: str = Field(default="tests", description="Who owns the models by its list; vLLM says `vllm`.")
    seed: int = Field(default=0, description="Another seed draws other faults and other judge noise; answers stay.")

    faults: FaultRates = Field(default=FaultRates(), description="The rates of the faults.")
    fault_models: tuple[str, ...] | None = Field(default=None, description="Only these models meet faults. Null: all.")
    transient_forever: bool = Field(
        default=False, description="A transient fault sticks to its request on every attempt."
    )
    random_faults: bool = Field(default=False, description="Transient faults are drawn from the system's randomness.")
    retry_after_s: Seconds | None = Field(
        default=0.05, description="Retry-After of a 429, in seconds. Null: no such header."
    )
    slow_s: Seconds = Field(default=0.5, description="How much later a `slow` answer comes, in seconds.")

    slots: int | None = Field(default=None, ge=1, description="Samples served at one time; more wait. Null: no limit.")
    queue_limit: int | None = Field(default=None, ge=0, description="Samples that may wait for a slot; beyond, 429.")
    first_token_s: Seconds = Field(default=0.0, description="Seconds from getting a slot to the first token.")
    per_token_s: Seconds = Field(default=0.0, description="Seconds for each token of a sample.")
    tokens_mean: float = Field(default=0.0, ge=0.0, description="Mean tokens of a sample. 0: estimated from its text.")
    tokens_sd: float = Field(default=0.0, ge=0.0, description="Standard deviation of the tokens of a sample.")

    prefix_cache: int = Field(
        default=0, ge=0, description="Blocks of 64 characters of answered prompts that later ones need not read again."
    )

    batch_s: Seconds = Field(default=0.0, description="Seconds until a batch has ended.")
    batch_ending: Literal["completed", "expired", "failed", "cancelled", "token_limit_exceeded"] = Field(
        default="completed", description="How a batch ends; failed and token_limit_exceeded take none of its requests."
    )
    batch_share: Rate = Field(default=1.0, description="Share of a batch's requests that are answered by its end.")
    batch_reply: Literal["given", "lost"] = Field(
        default="given", description="Whether the connection is reset once a batch is made, in place of the reply."
    )
    batch_list: Literal["given", "lost", "refused"] = Field(
        default="given", description="Whether who asks for the list of batches gets a reset connection, or 405."
    )
    batch_cancel: Literal["given", "unknown"] = Field(
        default="given", description="Whether a batch can be cancelled; a server that has no such path answers 404."
    )
    batch_answers_gone: tuple[str, ...] = Field(
        default=(), description="Batches whose file of answers is not there any more; that of their errors is."
    )
    batch_noise: bool = Field(default=False, description="Results among which lie strangers, doubles and torn lines.")

    distinct_repeats: bool = Field(
        default=False, description="Chat: equal requests with temperature > 0 differ in answers."
    )
    distinct_draws: bool = Field(default=True, description="Completions: equal requests differ in their instructions.")
    instruction_language: InstructionLanguage = Field(
        default="auto",
        description="Language of the instructions of /v1/completions. auto: Japanese if the prompt has kana.",
    )
    reasoning: Reasoning = Field(default="none", description="How chat answers carry a thinking model's reasoning.")
    logprobs: Literal["given", "five", "ignored", "refused"] = Field(
        default="given", description="Chat: whether log probabilities are given, at most five, left out, or a 400."
    )
    judge_unreadable: Rate = Field(default=0.0, description="Share of judge requests answered in no readable form.")
    labeller_unreadable: Rate = Field(
        default=0.0, description="Share of tagging and rewriting requests answered in no readable form."
    )
    judge_position_bias: Rate = Field(
        default=0.0, description="Share of judge requests that rate the first text one higher."
    )

    @model_validator(mode="after")
    def _tokens_for_latency(self) -> "ServerConfig":
        if self.per_token_s and not self.tokens_mean:
            raise ValueError(f"per_token_s is {self.per_token_s:g}, but tokens_mean is 0: give a mean number of tokens")
        return self

    def changed(self, **changes: Any) -> "ServerConfig":
        """This configuration with some fields replaced, checked again; `faults` is replaced as a whole."""
        return ServerConfig.model_validate({**self.model_dump(), **changes})
