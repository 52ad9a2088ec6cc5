"""Which models a recipe may name, and the sampling parameters of each: configuration alone, cheap to import."""

import json
import os
import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from kasasagi.blocks.canonical import canonical
from kasasagi.blocks.configuration import Budget, Config, Price, Sampling, Thinking
from kasasagi.blocks.loopback import is_loopback
from kasasagi.blocks.models.providers import ProviderName, listed_price, provider_at, providers
from kasasagi.blocks.models.vllm_config import VLLMModel

__all__ = [
    "BatchConfig",
    "Budget",
    "BundledModel",
    "Config",
    "LiteLLMModel",
    "ModelConfig",
    "OpenAIModel",
    "Price",
    "Sampling",
    "VLLMModel",
    "extra_body_of",
    "missing_key",
    "price_of",
]

OPENAI_URL = "https://api.openai.com/v1"
KNOWN_SAMPLES = 16
LOCAL_CONCURRENCY = 256
HOSTED_CONCURRENCY = 32
MOST_LOCAL_CONCURRENCY = 1024
MOST_HOSTED_CONCURRENCY = 256
SET_BY_STAGES = ("messages", "model", "n", "prompt", "stream", "stream_options")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_LOOKS_LIKE_A_KEY = re.compile(r"(sk|hf|gsk|xai|key|pk|ak|AIza|r8|nvapi)[-_][A-Za-z0-9_-]{8,}|[A-Za-z0-9_-]{40,}")


class BatchConfig(Config):
    """How requests are collected into batches, and how often the answers are polled."""

    window: str = Field(
        "24h", pattern=r"^[0-9]+[hd]$", description="Time within which the server must complete a batch."
    )
    gather_s: float = Field(5.0, ge=0, description="Seconds without a new request after which a batch is sent.")
    poll_s: float = Field(30.0, gt=0, description="Seconds between two polls of a batch.")
    max_requests: int = Field(50_000, ge=1, le=50_000, description="Maximum number of requests in a batch.")
    max_mb: int = Field(100, ge=1, le=200, description="Maximum size of a batch's file in megabytes.")
    folder: str | None = Field(
        None, description="Write the files to this folder, for vllm run-batch, instead of sending them to the server."
    )


def _settings(value: object) -> object:
    """true stands for the default settings, false for none."""
    return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value


Batching = Annotated[BatchConfig | None, BeforeValidator(_settings, json_schema_input_type=bool | BatchConfig | None)]


class OpenAIModel(Config):
    """A model behind any OpenAI-compatible server."""

    kind: Literal["openai"] = Field(description="An OpenAI-compatible endpoint.")
    model: str = Field(min_length=1, description="Name of the model on the server.")
    provider: ProviderName | None = Field(
        None, description="Short name of a provider, which sets the address and the variable of the key."
    )
    base_url: str | tuple[str, ...] = Field(
        OPENAI_URL, description="Address of the API, usually ending in /v1, or a list of addresses that share the work."
    )
    api_key_env: str | None = Field(None, description="Name of the environment variable that holds the key.")
    block: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="Name of a saved Prefect block with the address and the key.",
    )
    identity: str | None = Field(None, description="Name by which the ledger identifies the model; default: its name.")
    revision: str | None = Field(None, description="Revision of the weights, part of the model's identity.")
    tokenizer: str | None = Field(
        None, description="Folder or Hub id of its tokenizer, whose chat template Magpie uses."
    )
    max_concurrency: int | None = Field(None, ge=1, description="Maximum number of calls in flight at each address.")
    start_concurrency: int | None = Field(
        None,
        ge=1,
        description="Calls in flight at each address at first; the limit then adapts to the server.",
    )
    draws_per_call: int = Field(
        4,
        ge=1,
        le=64,
        description="Maximum number of draws (Magpie) in one call, as n samples or as a list of prompts.",
    )
    samples_per_call: int | None = Field(
        None,
        ge=1,
        le=128,
        description="Maximum number of samples of one chat prompt in one call (n), so that the prompt is paid for "
        "once; default: 16 at OpenAI and vLLM servers, otherwise 1.",
    )
    requests_per_minute: int | None = Field(
        None, ge=1, description="Maximum number of requests per minute at each address."
    )
    tokens_per_minute: int | None = Field(
        None, ge=1, description="Maximum number of tokens per minute, of prompts and answers, at each address."
    )
    prefect_limit: str | None = Field(
        None,
        min_length=1,
        description="A global concurrency limit of Prefect, which divides the calls in flight between processes.",
    )
    timeout_s: float = Field(600.0, gt=0, description="Seconds until a call without a complete reply fails.")
    first_byte_timeout_s: float | None = Field(
        None, gt=0, description="Seconds without a byte until a call fails; default: timeout_s."
    )
    connect_timeout_s: float = Field(10.0, gt=0, description="Seconds until a connection attempt fails.")
    max_retries: int = Field(
        6, ge=0, description="How often a call that fails temporarily is retried while others succeed."
    )
    patience_s: float = Field(
        600.0, ge=0, description="Seconds that calls wait for a server that is down, loading or over its rate limit."
    )
    usd_per_million_tokens: Price = Field(
        Price(), description="Price of tokens; default: our table of prices; models that are not in it are free."
    )
    budget: Budget = Field(Budget(), description="What one run may spend on this model, within the budget of the run.")
    sampling: Sampling = Field(
        Sampling(), description="Sampling parameters wherever this model is used; stages may override them."
    )
    extra_body: dict[str, Any] = Field({}, description="Further fields of each request, passed on unchanged.")
    thinking: Thinking = ()
    batch: Batching = Field(None, description="Send requests as batches (OpenAI's Batch API): true, or settings.")

    @field_validator("api_key_env")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        if value is not None and (not _ENVIRONMENT_NAME.fullmatch(value) or _LOOKS_LIKE_A_KEY.fullmatch(value)):
            raise ValueError(
                "this looks like a key itself, and a recipe holds no keys: "
                "put the key into an environment variable and write that variable's name here"
            )
        return value

    @field_validator("base_url", mode="before")
    @classmethod
    def _is_an_address(cls, value: object) -> str | tuple[str, ...]:
        if isinstance(value, str):
            return _address(value)
        if not isinstance(value, list | tuple) or not value or not all(isinstance(one, str) for one in value):
            raise ValueError('write an address such as "http://127.0.0.1:8000/v1", or a list of addresses')
        addresses = tuple(_address(one) for one in value)
        if twice := [one for number, one in enumerate(addresses) if one in addresses[:number]]:
            raise ValueError(f"the address {twice[0]} appears twice; remove one")
        return addresses

    @field_validator("extra_body")
    @classmethod
    def _can_be_sent(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in SET_BY_STAGES:
            if name in value and (name, value[name]) != ("stream", False):
                raise ValueError(f"{name!r} is set by the stages themselves; remove it")
        try:
            canonical(value)
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"its values must be ones that JSON can write ({error})") from error
        return value

    @model_validator(mode="after")
    def _has_one_place_for_batches(self) -> "OpenAIModel":
        if self.batch and not isinstance(self.base_url, str):
            raise ValueError("batches are handed to one server: name one address in base_url, or remove batch")
        return self

    @model_validator(mode="after")
    def _has_an_address(self) -> "OpenAIModel":
        known = providers().get(self.provider or "")
        if known is not None and known.base_url is None and "base_url" not in self.model_fields_set:
            raise ValueError(
                f"{self.provider} has a different address for each customer: write base_url, such as {known.like}"
            )
        return self

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address at which the model is asked: as written, else the provider's."""
        preset = providers()[self.provider].base_url if self.provider else None
        if preset is not None and "base_url" not in self.model_fields_set:
            return (preset,)
        return (self.base_url,) if isinstance(self.base_url, str) else self.base_url

    @property
    def provider_name(self) -> str | None:
        """The provider's short name: as written, else by the address."""
        return self.provider or provider_at(self.addresses[0])

    def key_variable(self) -> str | None:
        """Return the environment variable that holds the key: as named, else the provider's, or OpenAI's for its
        address.
        """
        if self.api_key_env is None and self.provider is not None:
            return providers()[self.provider].api_key_env
        return self.api_key_env or ("OPENAI_API_KEY" if set(self.addresses) == {OPENAI_URL} else None)

    def ledger_identity(self) -> str:
        """Return the identity in the ledger: name and revision, never an address or a port."""
        return self.identity or (f"{self.model}@{self.revision}" if self.revision else self.model)

    def first_concurrency(self, address: str) -> int:
        """Calls in flight at an address at first: as set, else many at a local server and few at a hosted one."""
        if self.start_concurrency is not None:
            return min(self.start_concurrency, self.most_concurrency(address))
        if _is_local(urlsplit(address).hostname or ""):
            return self.max_concurrency or LOCAL_CONCURRENCY
        return min(HOSTED_CONCURRENCY, self.most_concurrency(address))

    def most_samples(self, address: str, is_vllm: bool = False) -> int:
        """Most samples of one chat prompt that share one call at an address: as set, else many where `n` is known."""
        return self.samples_per_call or (KNOWN_SAMPLES if is_vllm or address == OPENAI_URL else 1)

    def most_concurrency(self, address: str) -> int:
        """Most calls in flight at an address: as set, else many at a local server and fewer at a hosted one."""
        local = _is_local(urlsplit(address).hostname or "")
        return self.max_concurrency or (MOST_LOCAL_CONCURRENCY if local else MOST_HOSTED_CONCURRENCY)


def without(*names: str) -> Callable[[dict[str, Any]], None]:
    """Return what takes keys out of a model's JSON schema that it inherits and refuses."""

    def take_out(schema: dict[str, Any]) -> None:
        for name in names:
            schema["properties"].pop(name, None)

    return take_out


Part = Literal["model", "messages", "prompt", "response", "responses"]
CLASSIFY: dict[str, Part] = {"model": "model", "messages": "messages"}
SCORE: dict[str, Part] = {"model": "model", "text_1": "prompt", "text_2": "response"}


class RewardModel(OpenAIModel):
    """A model that returns a number for an answer: at vLLM's /classify or /score, or another HTTP endpoint."""

    model_config = ConfigDict(json_schema_extra=without("batch", "samples_per_call"))
    kind: Literal["reward"] = Field(description="A reward model, which returns numbers.")  # type: ignore[assignment]
    base_url: str | tuple[str, ...] = Field(
        description="Address of the server, e.g. http://127.0.0.1:8000, or a list of addresses that share the work."
    )
    path: str = Field("/classify", pattern=r"^/\S*$", description="Path of the endpoint: /classify, /score or another.")
    send: dict[str, Part] = Field(
        {}, description="Fields of the request and their content; not needed for /classify and /score."
    )
    number: str = Field(
        "",
        pattern=r"^\S*$",
        description="Place of the number in the reply, e.g. data.0.score; not needed for /classify and /score. "
        "Exception: a /classify model with several labels needs it (data.0.probs.1 is the probability of "
        "the second label).",
    )

    @model_validator(mode="after")
    def _knows_what_to_send(self) -> "RewardModel":
        if self.batch:
            raise ValueError("a reward model cannot be asked in batches; remove batch")
        if self.samples_per_call is not None:
            raise ValueError("a reward model gives one number for an answer; remove samples_per_call")
        if not self.is_vllm_route and not (self.send and self.number):
            raise ValueError(
                f"the fields of {self.path} are not known: set send, e.g. {{text: response}}, and number, e.g. score"
            )
        return self

    def most_samples(self, address: str, is_vllm: bool = False) -> int:
        """Return 1, since a number has no samples."""
        return 1

    @property
    def is_vllm_route(self) -> bool:
        """Whether the endpoint is one of vLLM's."""
        return self.path.removeprefix("/v1") in ("/classify", "/score")

    @property
    def request_fields(self) -> dict[str, Part]:
        """Fields of the request and what stands in them."""
        return self.send or (SCORE if self.path.endswith("/score") else CLASSIFY)

    @property
    def number_path(self) -> str:
        """Where the number stands in the reply."""
        return self.number or ("data.0.score" if self.path.endswith("/score") else "data.0.probs.0")

    @property
    def expects_one(self) -> bool:
        """Whether the reply must hold one number, since the recipe names none."""
        return not self.number

    def ledger_identity(self) -> str:
        """Return the identity in the ledger: name, revision, and what is sent and read, never an address or a port."""
        fields = " ".join(f"{name}={part}" for name, part in sorted(self.request_fields.items()))
        return f"{super().ledger_identity()} {self.path} {fields} {self.number_path}"


class LiteLLMModel(OpenAIModel):
    """A model at another provider, called through LiteLLM (the extra [litellm])."""

    model_config = ConfigDict(json_schema_extra=without("batch", "block", "provider", "samples_per_call"))
    kind: Literal["litellm"] = Field(description="A model called through LiteLLM.")  # type: ignore[assignment]
    model: str = Field(min_length=1, description="LiteLLM's name for the model, e.g. bedrock/amazon.nova-lite-v1:0.")
    base_url: str | tuple[str, ...] = Field("", description="An address to use instead of the provider's own.")

    @model_validator(mode="after")
    def _is_asked_call_by_call(self) -> "LiteLLMModel":
        if set_in_vain := {"batch", "block", "provider", "samples_per_call"} & self.model_fields_set:
            raise ValueError(f"{min(set_in_vain)!r} only applies to kind: openai; remove it, or set kind: openai")
        if not isinstance(self.base_url, str):
            raise ValueError("a model of kind litellm has one address: name one")  # noqa: TRY004 - pydantic's
        return self

    def most_samples(self, address: str, is_vllm: bool = False) -> int:
        """Return 1, because the providers behind LiteLLM treat `n` differently."""
        return 1

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return what the limit of calls in flight applies to: the address, or else the provider."""
        return (self.api_base or f"litellm:{self.model.split('/', 1)[0]}",)

    @property
    def api_base(self) -> str | None:
        """The address to ask in place of the provider's own."""
        return str(self.base_url) or None


def _address(value: str) -> str:
    """Return an address without its last slash.

    Raises:
        ValueError: If it is none or holds a secret.
    """
    parts = urlsplit(value)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "an address must not contain a name, password, ? or #; put secrets into the variable of api_key_env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(
            f"{value!r} is not an address: one begins with http:// or https:// and names a host, "
            'as "http://127.0.0.1:8000/v1"'
        )
    return value.rstrip("/")


def _is_local(host: str) -> bool:
    try:
        return is_loopback(host) or ip_address(host).is_private
    except ValueError:
        return host.endswith(".local")


class BundledModel(Config):
    """hina, the small language model that ships with kasasagi: no key, no GPU, no network."""

    kind: Literal["bundled"] = Field(description="The bundled model.")
    batch_size: int = Field(256, ge=1, description="Number of requests that are answered at the same time.")
    threads: int = Field(0, ge=0, description="Number of threads; 0 means one for each core.")
    usd_per_million_tokens: Price = Field(
        Price(), description="Price of tokens; default: free. Set it to try out budgets."
    )
    sampling: Sampling = Field(
        Sampling(), description="Sampling parameters wherever this model is used; stages may override them."
    )


ModelConfig = Annotated[
    OpenAIModel | LiteLLMModel | RewardModel | VLLMModel | BundledModel, Field(discriminator="kind")
]


def extra_body_of(model: ModelConfig) -> dict[str, Any]:
    """Return further fields of each request to a model."""
    return {} if isinstance(model, BundledModel) else model.extra_body


def price_of(model: ModelConfig) -> Price:
    """Return what a model's tokens cost: as the recipe says, else by our table, else nothing."""
    if isinstance(model, OpenAIModel) and "usd_per_million_tokens" not in model.model_fields_set:
        return listed_price(model.provider_name, model.model) or Price()
    return model.usd_per_million_tokens


def missing_key(model: ModelConfig) -> str | None:
    """Return the name of the environment variable that a model needs and that is not set, else None."""
    variable = model.key_variable() if isinstance(model, OpenAIModel) else None
    return variable if variable and not os.environ.get(variable) else None
