"""What a POST asks for: its samples, one for each prompt and each of `n`, and the digests that know them again."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

TRANSPORT_FIELDS = frozenset(
    ("stream", "stream_options", "user", "metadata", "store", "service_tier", "priority", "request_id", "timeout")
)
KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")


SCORING = ("classify", "score", "rate")
"""Endpoints that give a number for a text: vLLM's two, and one of a server that is like nobody's."""


class BadAskError(ValueError):
    """A body that no server could answer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One wanted answer: the digest of its request (one prompt, no `n`) and its place in the body."""

    digest: str
    prompt: Any
    index: int


@dataclass(frozen=True, slots=True)
class Ask:
    """One POST: its digest (with `n` and all prompts), its model, and every sample that it wants."""

    endpoint: str
    digest: str
    model: str
    body: dict[str, Any]
    samples: tuple[Sample, ...]


def sample_digest(body: Mapping[str, Any]) -> str:
    """The digest under which the server counts the samples of a request: transport and `n` left out.

    A completions body must hold a single prompt here; the server counts each prompt of a list on its own.
    """
    return _digest({name: value for name, value in body.items() if name != "n" and name not in TRANSPORT_FIELDS})


def read_ask(endpoint: str, raw: bytes) -> Ask:
    """The ask in a body of `endpoint` ("chat/completions" or "completions"). Raises BadAskError."""
    body = _read_body(raw)
    model, number = body.get("model"), body.get("n")
    if endpoint == "rate":
        model = "rate"
    if not isinstance(model, str):
        raise BadAskError("you must provide a model parameter")
    if number is not None and (not isinstance(number, int) or not 1 <= number <= 16_384):
        raise BadAskError(f"n is {number!r}, which is not between 1 and 16384")
    asked = body if TRANSPORT_FIELDS.isdisjoint(body) else {k: v for k, v in body.items() if k not in TRANSPORT_FIELDS}
    digest = _digest(asked)
    if endpoint in SCORING:
        samples = (Sample(sample_digest(asked), _rated_text(endpoint, asked), 0),)
    elif endpoint == "chat/completions":
        samples = _chat_samples(asked, digest, number)
    elif endpoint == "embeddings":
        samples = _inputs(asked)
    else:
        samples = _completion_samples(asked, number or 1)
    return Ask(endpoint, digest, model, body, samples)


def _read_body(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadAskError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadAskError("the body is not a JSON object")
    if isinstance(body.get("messages"), list):
        body["messages"] = [_with_plain_text(message) for message in body["messages"]]
    if body.get("stream"):
        raise BadAskError("stream is true, but this server does not stream: leave it out")
    return body


def _rated_text(endpoint: str, asked: Mapping[str, Any]) -> str:
    """The text to rate: the last turn, the second text, or what stands in `answer`."""
    if endpoint == "classify":
        _chat_samples(dict(asked), "", None)
        return str(asked["messages"][-1]["content"])
    name = "text_2" if endpoint == "score" else "answer"
    if not isinstance(asked.get(name), str):
        raise BadAskError(f"{name} must be a text")
    return str(asked[name])


def _with_plain_text(message: Any) -> Any:
    """A message whose content is a list of text parts, as some clients send it, with one text in their place."""
    parts = message.get("content") if isinstance(message, dict) else None
    if isinstance(parts, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in parts):
        return {**message, "content": "".join(str(part.get("text", "")) for part in parts)}
    return message


def _chat_samples(asked: dict[str, Any], digest: str, number: int | None) -> tuple[Sample, ...]:
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
        raise BadAskError("messages must be a list of objects with a role and a text content")
    if number is None:
        return (Sample(digest, messages, 0),)
    own = sample_digest(asked)
    return tuple(Sample(own, messages, index) for index in range(number))


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and "role" in message and isinstance(message.get("content"), str)


def _completion_samples(asked: dict[str, Any], number: int) -> tuple[Sample, ...]:
    samples: list[Sample] = []
    for prompt in _prompts(asked.get("prompt")):
        digest = sample_digest({**asked, "prompt": prompt})
        samples.extend(Sample(digest, prompt, index) for index in range(number))
    return tuple(samples)


def _inputs(asked: dict[str, Any]) -> tuple[Sample, ...]:
    given = asked.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise BadAskError("input must be a text or a list of texts, none of them empty")
    return tuple(Sample(sample_digest({**asked, "input": text}), text, 0) for text in texts)


def _prompts(prompt: Any) -> list[Any]:
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt:
        if all(isinstance(token, int) for token in prompt):
            return [prompt]
        if all(isinstance(one, str) or (isinstance(one, list) and one) for one in prompt):
            return prompt
    raise BadAskError("prompt must be a text, a list of token ids, or a list of either")


def _digest(value: Any) -> str:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
