"""Samples that share one call: those of one prompt by `n`, or a list of prompts, and how the reply is divided.

Each sample keeps its own key and its own entry in the ledger; `n` is part of neither.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from kasasagi.blocks.dispatch.addresses import Route
from kasasagi.blocks.dispatch.sharing import shared_request
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint, read_reply
from kasasagi.blocks.models.llm import Completion, Request

TOLERATED_INCOMPLETE = 3


class SharedCalls:
    """Which addresses answer shared calls: one that left out or refused some of them gets single calls from then on.

    What a model takes at an address is counted apart for its chat and its completions.
    """

    def __init__(self) -> None:
        self._incomplete: Counter[tuple[str, str, bool]] = Counter()

    def most(self, request: Request, route: Route) -> int:
        """Return how many samples a call with this request may ask for."""
        refuses = self._incomplete[_kind(request, route)] >= TOLERATED_INCOMPLETE
        return 1 if refuses else route.most_in_a_call(request)

    def on_missing(self, request: Request, route: Route, answered: int) -> list[str]:
        """Count a shared call whose reply lacks answers; a chat that brings one sample in place of `n` ignores it.

        Returns what there is to say of the address.
        """
        is_chat, kind = "messages" in request, _kind(request, route)
        self._incomplete[kind] += TOLERATED_INCOMPLETE if is_chat and answered == 1 else 1
        if not is_chat or self._incomplete[kind] < TOLERATED_INCOMPLETE:
            return []
        return ["gives one sample a call, whatever n is: each sample is a call of its own"]


async def complete_shared(
    endpoint: OpenAIEndpoint, requests: Sequence[Request]
) -> tuple[Completion, list[Completion | None]]:
    """Answer several requests in one call: how it went, with its tokens, and each sample; None for a missing one."""
    found: list[Completion | None] = []

    def read(body: bytes) -> Completion:
        try:
            found.extend(read_shared(body, len(requests)))
        except (ValueError, TypeError, KeyError) as error:
            return Completion(error="malformed_reply", detail=f"{error}: {body[:500]!r}", transient=True)
        there = [one for one in found if one is not None]
        if not there and (first := read_reply(body)).error == "server_error":  # all broke off: the call has failed
            return first
        return Completion(
            prompt_tokens=sum(one.prompt_tokens for one in there),
            completion_tokens=sum(one.completion_tokens for one in there),
        )

    outcome = await endpoint.complete(shared_request(requests), read)
    return outcome, found or [None] * len(requests)


def read_shared(body: bytes, count: int) -> list[Completion | None]:
    """The samples in a reply, in the order of what was asked; None for each that is missing or may come yet.

    Raises ValueError, TypeError or KeyError where the reply cannot be read at all. The tokens that the server counts
    are divided among the samples, those of the answers by their lengths, so that their sum is what the server says.
    """
    reply = orjson.loads(body)
    found: list[Completion | None] = [None] * count
    for place, choice in enumerate(reply["choices"]):
        index = choice.get("index", place) if isinstance(choice, dict) else place
        completion = read_reply(orjson.dumps({"choices": [choice]}))
        if isinstance(index, int) and 0 <= index < count and not completion.transient:
            found[index] = completion
    return _with_tokens(found, reply.get("usage") or {})


def _with_tokens(found: Sequence[Completion | None], usage: Mapping[str, Any]) -> list[Completion | None]:
    whole = read_reply(orjson.dumps({"choices": [{"text": ""}], "usage": usage}))
    there = [completion for completion in found if completion is not None]
    prompt_tokens = iter(divide(whole.prompt_tokens, [1] * len(there)))
    weights = [len((completion.text + (completion.reasoning or "")).encode()) + 1 for completion in there]
    completion_tokens = iter(divide(whole.completion_tokens, weights))
    return [
        one and replace(one, prompt_tokens=next(prompt_tokens), completion_tokens=next(completion_tokens))
        for one in found
    ]


def divide(total: int, weights: Sequence[int]) -> list[int]:
    """Divide a whole number by weights into whole numbers that add up to it."""
    parts, passed, given = [], 0, 0
    for weight in weights:
        passed += weight
        part = total * passed // sum(weights) - given
        given += part
        parts.append(part)
    return parts


def _kind(request: Request, route: Route) -> tuple[str, str, bool]:
    return route.label, route.address.url, "messages" in request
