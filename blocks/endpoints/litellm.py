"""A model behind LiteLLM, which speaks to providers whose API is not OpenAI's; LiteLLM is the extra [litellm].

Limits, retries, caps, budgets and the ledger are ours, so LiteLLM retries nothing, caches nothing and reports nothing.
"""

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import openai
import orjson

from kasasagi.blocks.endpoints.adapted_requests import Adaptation
from kasasagi.blocks.endpoints.failures import read_failure, requested_wait
from kasasagi.blocks.endpoints.openai import MOST_ADAPTATIONS, OpenAIEndpoint, read_reply, shorten, timeout_failure
from kasasagi.blocks.endpoints.rate_headers import quota_wait
from kasasagi.blocks.endpoints.redirects import refused_redirect
from kasasagi.blocks.hints import install
from kasasagi.blocks.models.hidden_keys import hidden_in, without_environment_keys
from kasasagi.blocks.models.kinds import LiteLLMModel
from kasasagi.blocks.models.llm import Completion, Request

NO_CHAT = "a model of kind litellm only accepts chat messages; Magpie and embeddings need kind openai or vllm"
NO_PROVIDER = "LLM Provider NOT provided"
NO_KEY = re.compile(
    r"missing credentials|missing \S* ?api.?key|api.?key\S* (is )?(required|missing|not (set|found))", re.I
)
_PROVIDERS = "llm_provider-"


def missing() -> str:
    """Return what is wrong where LiteLLM is not installed, and the command that installs it."""
    what = "LiteLLM is not installed in this environment: it is kasasagi's extra [litellm]"
    return f"{what}; install it with {install('litellm')}"


@cache
def library() -> Any:
    """Return LiteLLM without its telemetry and log lines. Raises ImportError."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it loads a table from the network
    import litellm

    from kasasagi.blocks.endpoints.litellm_transport import refuse_foreign_redirects

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    refuse_foreign_redirects()
    return litellm


class LiteLLMEndpoint(OpenAIEndpoint):
    """One model that LiteLLM asks; lives in the dispatcher's event loop."""

    config: LiteLLMModel

    def __init__(self, config: LiteLLMModel) -> None:
        self.config = config
        self.queues = False
        self.adaptation = Adaptation()

    async def models(self) -> list[str] | None:
        """None: LiteLLM does not say what a provider has. It is loaded here, off the loop."""
        with suppress(ImportError):  # the first call says so
            await asyncio.to_thread(library)
        return None

    async def queue_length(self) -> int | None:
        """Return None: LiteLLM does not report how many calls wait."""
        return None

    async def complete(self, request: Request, read: Callable[[bytes], Completion] | None = None) -> Completion:
        """Answer one request. A failure is returned as a Completion with its reason, never raised."""
        if "messages" not in request:
            return Completion(error="rejected_by_server", detail=NO_CHAT, fatal=True)
        try:
            async with asyncio.timeout(self.config.timeout_s):
                response = await self._ask(request)
            found = (read or read_reply)(orjson.dumps(response.model_dump(), default=str))
            completion = replace(found, wait_s=quota_wait(headers_of(response)))
        except ImportError:
            return Completion(error="not_installed", detail=missing(), fatal=True)
        except (TimeoutError, openai.APITimeoutError):
            completion = timeout_failure(f"no complete reply within {self.config.timeout_s:g} s")
        except Exception as error:
            completion = refused_redirect(error) or failure(error)
        return self.mask_keys(completion)

    async def _ask(self, request: Request) -> Any:
        """Ask LiteLLM; once more, and differently, where the model does not take a parameter."""
        for attempt in range(1, MOST_ADAPTATIONS + 1):
            body = self.adaptation.apply(dict(request))
            try:
                return await library().acompletion(**self._call(body))
            except openai.BadRequestError as error:
                if attempt == MOST_ADAPTATIONS or not self.adaptation.learn(400, str(error), body):
                    raise
        raise AssertionError("the last attempt raises")

    def _call(self, request: Request) -> dict[str, Any]:
        variable, address = self.config.api_key_env, self.config.api_base
        key = {"api_key": os.environ.get(variable, "").strip()} if variable else {}
        place = {"api_base": address} if address else {}
        fixed = {"model": self.config.model, "timeout": self.config.timeout_s, "num_retries": 0, "max_retries": 0}
        return {**request, **fixed, **key, **place}

    def without_key(self, detail: str | None) -> str | None:
        """Return a detail, shortened, in which no key that stands in the environment is readable."""
        return shorten(self._without_keys(detail)) if detail else detail

    def mask_keys(self, completion: Completion) -> Completion:
        """Return a completion in which no key that stands in the environment is readable."""
        clean = hidden_in(completion, self._without_keys)
        return replace(clean, detail=self.without_key(clean.detail))

    def _without_keys(self, text: str) -> str:
        return without_environment_keys(text, [self.config.api_key_env or ""])

    async def close(self) -> None:
        """Nothing: LiteLLM keeps its connections for the whole process."""


def headers_of(response: Any) -> dict[str, str]:
    """Return the provider's headers of an answer, as LiteLLM passes them on: some plain, all with its own prefix."""
    mask_keys = getattr(response, "_hidden_params", None)
    return plain_headers(mask_keys.get("additional_headers") if isinstance(mask_keys, Mapping) else None)


def plain_headers(headers: object) -> dict[str, str]:
    """Headers by their names in small letters, without LiteLLM's prefix; none where they are no headers."""
    if not isinstance(headers, Mapping):
        return {}
    return {str(name).lower().removeprefix(_PROVIDERS): str(value) for name, value in headers.items()}


def failure(error: Exception) -> Completion:
    """Return what an exception of LiteLLM means; its classes are those of the OpenAI client, and some are its own."""
    status, words = getattr(error, "status_code", None), str(error)
    if NO_PROVIDER in words:
        return Completion(error="not_found", detail=words, fatal=True)
    # LiteLLM finds a missing key itself and calls it an error of the server; a 400 may repeat a question about keys.
    if status not in (400, 422) and NO_KEY.search(words):
        return Completion(error="not_authorised", detail=words, fatal=True)
    if isinstance(error, openai.APIConnectionError):
        return Completion(error="connection", detail=words, transient=True)
    if isinstance(error, openai.APIStatusError) and hasattr(error, "body"):  # LiteLLM's own ones have none
        found, headers = read_failure(error), plain_headers(getattr(error, "litellm_response_headers", None))
        return replace(found, wait_s=requested_wait(found, headers)) if found.transient and headers else found
    if isinstance(status, int) and 400 <= status < 500:
        return Completion(error="rejected_by_server", detail=f"{status}: {words}")
    return Completion(error="server_error", detail=f"{type(error).__name__}: {words}", transient=True)
