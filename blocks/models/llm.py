"""What is asked of a language model and what comes back: the words that every endpoint and engine shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from kasasagi.blocks.models.logprobs import Numbers

MOST_TOKENS = 2**53
PASSING = frozenset(
    (
        "batch_failed",
        "budget_spent",
        "connection",
        "malformed_reply",
        "rate_limited",
        "server_error",
        "stopped",
        "time_out",
    )
)
"""The errors that may pass: a call that ends with one is asked again by the next run."""
Message = dict[str, str]
Request = Mapping[str, Any]
"""A canonical request: `messages` (chat), `prompt` (text or token ids) or `input` (a text to embed, whose answer is a
vector as text: see `kasasagi.blocks.models.embeddings`), and the sampling parameters by their
OpenAI names (temperature, top_p, max_tokens, stop, repetition_penalty, …). No address, no `n`, no stream."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One model's answer to one request, or the reason why there is none.

    Attributes:
        error: None for an answer, otherwise the reason of the failure.
        transient: The failure is temporary (one of PASSING) and is not stored; other failures are stored with their
            reason (context_too_long, refused_by_server, …).
        fatal: Every call to the model would fail (a wrong key, an unknown model).
        wait_s: The pause that the server asked for before another attempt.
        unavailable: The server cannot be reached or takes no calls now.
        numbers: Where log probabilities were asked for, the numbers of the text with their alternatives (see
            `kasasagi.blocks.models.logprobs`); None if the server gave none.
    """

    text: str = ""
    reasoning: str | None = None
    finish_reason: str | None = None
    stop_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str | None = None
    detail: str | None = None
    transient: bool = False
    fatal: bool = False
    wait_s: float | None = None
    attempts: int = 1
    unavailable: bool = False
    numbers: Numbers | None = None


GENERATION_FAILED = frozenset(
    (
        "abort",
        "aborted",
        "cancelled",
        "connection_error",
        "error",
        "insufficient_system_resource",
        "network_error",
        "server_error",
        "timeout",
    )
)
"""Finish reasons of a text whose making broke off: OpenRouter's and Mistral's `error`, DeepSeek's
insufficient_system_resource, network_error of Zhipu and of gateways, vLLM's and SGLang's abort, TensorRT-LLM's rest."""


def reject_aborted(completion: Completion, why: str = "") -> Completion:
    """Return a completion, or the passing error in its place where its making broke off; why: the server's words for
    that.
    """
    reason = completion.finish_reason or ""
    if not why and reason.lower() not in GENERATION_FAILED:
        return completion
    message = f"the generation broke off after {len(completion.text)} characters (finish_reason {reason or 'missing'})"
    detail = f"{message}: {why}" if why else message
    failed = replace(completion, text="", reasoning=None, finish_reason=None, stop_reason=None)
    return replace(failed, error="server_error", detail=detail, transient=True)


def token_count(value: Any) -> int:
    """Return a number of tokens that a server reported; 0 if it reported none or an impossible one.

    Raises:
        ValueError, TypeError: The value is not a number.
    """
    count = int(value or 0)
    return count if 0 <= count <= MOST_TOKENS else 0


@runtime_checkable
class Engine(Protocol):
    """A model in this process, which answers many requests at once."""

    batch_size: int

    def identity(self) -> str:
        """Name and weights digest: what the ledger knows this model by."""
        ...

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer all requests, in their order; a request that fails is a Completion with an error.

        Blocks; may be called from several threads.
        """
        ...


@runtime_checkable
class PreQueryEngine(Protocol):
    """An engine that knows its own chat template."""

    def pre_query_prefix(self, system_prompt: str | None = None, steer: str = "", turns: Sequence[Message] = ()) -> str:
        """Return the text before the user's words, which a chat model continues with an instruction."""
        ...
