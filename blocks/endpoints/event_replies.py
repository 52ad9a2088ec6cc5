"""Replies that come as server-sent events though none were asked for: put together into one reply."""

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

_TEXTS = ("content", "reasoning", "reasoning_content", "refusal")
_END = b"[DONE]"
_END_WITHIN_BYTES = 64
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def is_events(body: bytes) -> bool:
    """Return whether a reply is a stream of events."""
    return body.lstrip(_BYTE_ORDER_MARK + b" \r\n").startswith((b"data:", b": ", b":\n", b"event:"))


def joined_events(body: bytes) -> bytes:
    """Return the reply that a stream of events amounts to, as the server would have sent it in one piece.

    Raises:
        ValueError: An event is not JSON, or the stream broke off: it has neither a finish reason nor its last event.
    """
    choices: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    for event in _events(body):
        if event.get("error"):
            return _as_json({"error": event["error"]})
        whole |= {name: event[name] for name in ("id", "model", "usage") if event.get(name)}
        for choice in event.get("choices") or ():
            _add(choices.setdefault(int(choice.get("index") or 0), {"finish_reason": None}), choice)
    if not _is_complete(body, choices.values()):
        raise ValueError("the stream of events broke off before its end")
    return _as_json({**whole, "choices": [{"index": index, **choices[index]} for index in sorted(choices)]})


def _is_complete(body: bytes, choices: Collection[dict[str, Any]]) -> bool:
    """Return whether a stream came to its end, by the server's last event or by a finish reason of every choice."""
    return _END in body[-_END_WITHIN_BYTES:] or (
        bool(choices) and all(choice["finish_reason"] is not None for choice in choices)
    )


def _as_json(reply: dict[str, Any]) -> bytes:
    """Return a reply as JSON.

    Characters that are cut into two events become whole, since the halves of their escapes meet.
    """
    return json.dumps(reply).encode()


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    for line in _lines(body):
        if line.startswith(b"data:") and (data := line[5:].strip()) and data != _END:
            event = json.loads(data)
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
    if content := (choice.get("logprobs") or {}).get("content"):
        whole["logprobs"] = {"content": [*(whole.get("logprobs") or {}).get("content", ()), *content]}
    piece = choice.get("delta") or choice.get("message") or {}
    message = whole.setdefault("message", {"role": "assistant"}) if piece else {}
    for name in _TEXTS:
        if piece.get(name):
            message[name] = _joined(message.get(name, ""), piece[name])


def _joined(before: Any, value: Any) -> Any:
    """Return two pieces of a message's field: texts as a text, lists of parts as a list."""
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    return [*_parts(before), *_parts(value)]


def _parts(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [{"type": "text", "text": value}] if value else []
    return value if isinstance(value, list) else [value]
