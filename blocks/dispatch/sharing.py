"""Which requests may share one call, and the request that asks for all of them."""

from collections.abc import Sequence
from typing import Any

from kasasagi.blocks.models.llm import Request


def can_share(request: Request) -> bool:
    """Return whether a request may share a call: it has no seed of its own, and samples of one chat prompt differ.

    Servers such as vLLM refuse several samples where the likeliest tokens are taken.
    """
    if request.get("seed") is not None:
        return False
    return "prompt" in request or ("messages" in request and request.get("temperature") != 0)


def alike(one: Request, other: Request) -> bool:
    """Return whether two requests differ in nothing but the prompts of completions."""
    return one is other or without_prompt(one) == without_prompt(other)


def shared_request(requests: Sequence[Request]) -> Request:
    """Return one request for several that are alike: `n` samples of a prompt that is the same, else a list
    of prompts.
    """
    first = requests[0]
    if all(one is first or one == first for one in requests):
        return {**first, "n": len(requests)}
    return {**without_prompt(first), "prompt": [request["prompt"] for request in requests]}


def without_prompt(request: Request) -> dict[str, Any]:
    """Return a request without its prompt."""
    return {name: value for name, value in request.items() if name != "prompt"}
