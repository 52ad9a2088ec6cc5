"""Conversations as datasets write them, read turn by turn: in the forms of OpenAI, ShareGPT and Gemini."""

import ast
from typing import Any

import orjson

Conversation = list[dict[str, str]]
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
}
"""The roles of a conversation by the names that datasets give them: OpenAI's, ShareGPT's, Gemini's."""
ANSWER_NAMES = ("response", "generation", "completion", "answer", "output", "text")
"""The names under which objects hold a response, in UltraFeedback, distilabel and others."""
_TEXT_PARTS = ("text", "input_text", "output_text")


class UnfitRowError(Exception):
    """A row that cannot be a prompt: a stable reason and what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def turns_in(value: Any, column: str) -> Conversation:
    """Return the turns of a conversation, which may be written as a text in a cell. Raises UnfitRowError."""
    value = [value] if _is_turn(value) else unwritten(value)
    if value is None or value == []:
        raise UnfitRowError("empty", f"{column} is {'null' if value is None else 'an empty list'}")
    if not isinstance(value, list):
        raise UnfitRowError("wrong_type", f"{column} is {kind_of(value)}, not a list of messages")
    return [turn_of(turn, number) for number, turn in enumerate(value, 1)]


def turn_of(turn: Any, number: int) -> dict[str, str]:
    """Return a turn in our form, number being its place. Raises UnfitRowError."""
    if not isinstance(turn, dict):
        raise UnfitRowError("bad_message", f"message {number} is {kind_of(turn)}, not an object")
    named, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    role = _ROLES.get(named.lower()) if isinstance(named, str) else None
    if named is None:
        raise UnfitRowError("bad_message", f"message {number} has no role, which is system, user or assistant")
    if role is None:
        raise UnfitRowError(
            "bad_message", f"message {number} has the role {str(named)[:40]!r}, not system, user or assistant"
        )
    return {"role": role, "content": content_of(content, number)}


def content_of(content: Any, number: int) -> str:
    """Return the text of a message, or of its parts if all of them are text. Raises UnfitRowError."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise UnfitRowError("bad_message", f"message {number} has {kind_of(content)} as its content, not text")
    texts = [_text_of_part(part) for part in content]
    for part, text in zip(content, texts, strict=True):
        if text is None:
            kind = part.get("type", "text") if isinstance(part, dict) else kind_of(part)
            raise UnfitRowError("bad_message", f"message {number} has a part of type {str(kind)[:40]!r}, not text")
    return "".join(text for text in texts if text is not None)


def _text_of_part(part: Any) -> str | None:
    """Return the text of a message's part, which may be written as a bare text; None for another kind of part."""
    if isinstance(part, str):
        return part
    is_text = isinstance(part, dict) and part.get("type", "text") in _TEXT_PARTS
    return part["text"] if is_text and isinstance(part.get("text"), str) else None


def unwritten(value: Any) -> Any:
    """Return the turns that a text holds as JSON, or as Python as pandas writes lists; any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    found = _parsed(value)
    turns = found if isinstance(found, list) else [found]
    return turns if turns and all(map(_is_turn, turns)) else value


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if "'role'" not in text and "'from'" not in text:
            return None
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _is_turn(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return ("role" in value or "from" in value) and ("content" in value or "value" in value)


def response_in(value: Any) -> str | Conversation:
    """Return a response: its text, or the turns that end with it.

    A response is a text, a list of parts that are text, a turn, a conversation, or an object such as UltraFeedback's
    completions, whose text stands under `response` or another name in ANSWER_NAMES; of a text that holds turns only if
    the last of them is the assistant's, since an answer may show how messages are written.

    Raises:
        UnfitRowError: For what is neither.
    """
    if isinstance(value, str):
        turns = unwritten(value)
        return turns_in(turns, "it") if turns is not value and _is_answered(turns) else value
    if isinstance(value, dict):
        text = None if _is_turn(value) else _text_in(value)
        return [turn_of(value, 1)] if text is None else text
    if not isinstance(value, list) or not value:
        raise UnfitRowError("wrong_type", "it is neither a text nor a conversation")
    if len(value) == 1 and isinstance(value[0], str):
        return value[0]
    if all(isinstance(item, dict) and "text" in item and not _is_turn(item) for item in value):
        return content_of(value, 1)
    return turns_in(value, "it")


def _text_in(value: dict[str, Any]) -> str | None:
    """Return the text of an object that holds one; None where it holds none, or is a part of another type."""
    if value.get("type", _TEXT_PARTS[0]) not in _TEXT_PARTS:
        return None
    names = [name for name in ANSWER_NAMES if isinstance(value.get(name), str)]
    if len(names) > 1:
        raise UnfitRowError("wrong_type", f"it has texts named {' and '.join(names)}, where one is needed")
    return str(value[names[0]]) if names else None


def _is_answered(turns: list[Any]) -> bool:
    return _ROLES.get(str(turns[-1].get("role", turns[-1].get("from"))).lower()) == "assistant"


def kind_of(value: Any) -> str:
    """Name the kind of a value in words."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
