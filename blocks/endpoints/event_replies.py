"""Replies that come as server-sent events though none were asked for: put together into one reply."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

_TEXTS = ("content", "reasoning", "reasoning_content", "refusal")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def is_events(body: bytes) -> bool:
    """Return whether a reply is a stream of events."""
    return body.lstrip(_BYTE_ORDER_MARK + b" \r\n").startswith((b"data:", b": ", b":\n", b"event:"))


def joined_events(body: bytes) -> bytes:
    """Return the reply that a stream of events amounts to, as the server would have sent it in one piece.

    Raises:
        ValueError: An event is no JSON, or the stream has no choice and no error.
    """
    choices: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    for event in _events(body):
        if event.get("error"):
            return orjson.dumps({"error": event["error"]})
        whole |= {name: event[name] for name in ("id", "model", "usage") if event.get(name)}
        for choice in event.get("choices") or ():
            _add(choices.setdefault(int(choice.get("index") or 0), {"finish_reason": None}), choice)
    if not choices:
        raise ValueError("the stream of events has no choice")
    return orjson.dumps({**whole, "choices": [{"index": index, **choices[index]} for index in sorted(choices)]})


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    for line in _lines(body):
        if line.startswith(b"data:") and (data := line[5:].strip()) and data != b"[DONE]":
            event = orjson.loads(data)
            if isinstance(event, dict):
                yield event


def _lines(body: bytes) -> Iterable[bytes]:
    return body.removeprefix(_BYTE_ORDER_MARK).splitlines()


def _add(whole: dict[str, Any], choice: dict[str, Any]) -> None:
    """Add a choice's next piece to what came before."""
    if choice.get("finish_reason"):
        whole["finish_reason"] = choice["finish_reason"]
    if choice.get("stop_reason") is not None:
        whole["stop_reason"] = choice["stop_reason"]
    if isinstance(text := choice.get("text"), str):
        whole["text"] = whole.get("text", "") + text
    piece = choice.get("delta") or choice.get("message") or {}
    message = whole.setdefault("message", {"role": "assistant"}) if piece else {}
    for name in _TEXTS:
        if isinstance(value := piece.get(name), str):
            message[name] = message.get(name, "") + value
