"""A server that gives a number for an answer: vLLM's /classify and /score, or any HTTP endpoint that does."""

import math
from collections.abc import Sequence
from typing import Any

import orjson

from kasasagi.blocks.endpoints.openai import DETAIL_CHARACTERS, OpenAIEndpoint
from kasasagi.blocks.models.kinds import LiteLLMModel, OpenAIModel, RewardModel
from kasasagi.blocks.models.llm import MOST_TOKENS, Completion, Message, Request


class RewardEndpoint(OpenAIEndpoint):
    """A reward model on a server; a request is a conversation that ends with the answer to be rated.

    The completion's text is the number, as JSON writes it.
    """

    config: RewardModel

    def _path_and_body(self, request: Request) -> tuple[str, dict[str, Any]]:
        parts = _parts(self.config.model, request["messages"])
        body = {name: parts[part] for name, part in self.config.request_fields.items()}
        return self.config.path, {**body, **self.config.extra_body}

    def _read(self, request: Request, reply: bytes) -> Completion:
        return read_number(reply, self.config.number_path, alone=self.config.expects_one)


def endpoint_of(model: OpenAIModel, address: str) -> OpenAIEndpoint:
    """Return the endpoint of a model at an address. Must be called in the event loop."""
    if isinstance(model, LiteLLMModel):
        from kasasagi.blocks.endpoints.litellm import LiteLLMEndpoint

        return LiteLLMEndpoint(model)
    kind = RewardEndpoint if isinstance(model, RewardModel) else OpenAIEndpoint
    return kind.connect(model, address)


def read_number(body: bytes, place: str, *, alone: bool = False) -> Completion:
    """Return the number in a server's reply, at a place like data.0.score.

    A body that is not JSON is a passing error. A reply that has no finite number there is an answer with the reason
    `no_number`. With `alone`, a list in which the number has neighbours is a fatal error: which label means a good
    answer is unknown, and a wrong guess inverts every pair.
    """
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Completion(error="malformed_reply", detail=f"{error}: {_shown(body)}", transient=True)
    path = place.split(".")
    value, around = _at(reply, path), _at(reply, path[:-1])
    if alone and isinstance(around, list) and len(around) > 1:
        return Completion(error="several_numbers", detail=_ambiguous(".".join(path[:-1]), around), fatal=True)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Completion(error="no_number", detail=f"there is no number at {place} in {_shown(body)}")
    return Completion(text=orjson.dumps(value).decode(), finish_reason="stop", prompt_tokens=_tokens(reply))


def _ambiguous(place: str, numbers: Sequence[Any]) -> str:
    """Say that a reply has a number for each of several labels, and what to write in the recipe."""
    shown = _shown(orjson.dumps(numbers))
    return (
        f"its reply has {len(numbers)} numbers at {place} ({shown}) and the recipe does not say which one rates the "
        f"answer; set number to the label that means a good answer, e.g. number: {place}.{len(numbers) - 1}"
    )


def _parts(model: str, messages: Sequence[Message]) -> dict[str, Any]:
    """Return what a request may be made of: the answer, and what came before it."""
    turns = [dict(turn) for turn in messages]
    before = "\n".join(turn["content"] for turn in turns[:-1])
    answer = turns[-1]["content"]
    return {"model": model, "messages": turns, "prompt": before, "response": answer, "responses": [answer]}


def _at(value: Any, path: Sequence[str]) -> Any:
    """Return what stands at a path of keys and places in a list; None where there is nothing."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _tokens(reply: Any) -> int:
    """Return the prompt tokens that the server says, 0 where it says none that can be."""
    count = _at(reply, ["usage", "prompt_tokens"])
    return count if isinstance(count, int) and 0 <= count <= MOST_TOKENS else 0


def _shown(body: bytes) -> str:
    return body[:DETAIL_CHARACTERS].decode(errors="replace")
