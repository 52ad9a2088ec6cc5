"""Read the content of a chat message as servers send it: a text, or a list of parts of text and of thinking.

Mistral sends `{"type": "thinking", "thinking": [{"type": "text", …}]}`, gateways to Anthropic and Gemini the same with
a plain text, OpenAI's own form is `{"type": "text", "text": …}`, its Responses API says output_text and refusal, its
Assistants API `{"text": {"value": …}}`. Gemini's own parts have no type, and `"thought": true` where they are thinking.
Thinking also comes in a field of its own: reasoning (vLLM, OpenRouter, Groq), reasoning_content (DeepSeek, SGLang,
llama.cpp), thinking (Ollama), reasoning_details (OpenRouter, MiniMax).
"""

from collections.abc import Iterator, Mapping
from typing import Any

TEXT_TYPES = frozenset(("text", "output_text", "input_text", "summary_text"))
THINKING_TYPES = frozenset(
    ("thinking", "reasoning", "reasoning_text", "reasoning.text", "reasoning.summary", "thought")
)
UNREADABLE_TYPES = frozenset(("redacted_thinking", "reasoning.encrypted"))
"""Thinking that the server keeps to itself."""
REASONING_FIELDS = ("reasoning", "reasoning_content", "thinking", "reasoning_details")
_TEXT_KEYS = ("text", "content", "parts", "value")
_THINKING_KEYS = ("thinking", "reasoning", "reasoning_content", "thought", "summary")
_INNER = ("text", "thinking", "reasoning", "content", "summary")


class UnknownPartError(Exception):
    """A message holds a part that is neither text nor thinking, such as a picture."""


class RefusedError(Exception):
    """A message holds a refusal in place of an answer; the exception's text is the refusal."""


def read_message(message: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the text and the thinking of a chat message; the thinking is None where there is none.

    Raises:
        UnknownPartError: A part is neither text nor thinking.
        RefusedError: The message is a refusal in a field or part of its own.
        TypeError: The content is neither a text nor a list of parts.
    """
    text, thoughts = _read(message.get("content"))
    fields = [_plain(message.get(name)) for name in REASONING_FIELDS]
    thoughts = [field for field in fields if field.strip()][:1] or thoughts
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal.strip() and not text.strip():
        raise RefusedError(refusal)
    return text, "\n\n".join(thoughts) or None


def _read(content: Any) -> tuple[str, list[str]]:
    if content is not None and not isinstance(content, str | list | Mapping):
        raise TypeError(f"the content is neither a text nor a list of parts but {type(content).__name__}")
    pieces = list(_pieces(content))
    thoughts = [text for text, is_thinking in pieces if is_thinking and text.strip()]
    return "".join(text for text, is_thinking in pieces if not is_thinking), thoughts


def _pieces(content: Any) -> Iterator[tuple[str, bool]]:
    """Yield the texts of a content in their order, each with whether it is thinking."""
    if isinstance(content, str):
        yield content, False
    elif isinstance(content, list):
        for part in content:
            yield from _pieces(part)
    elif isinstance(content, Mapping):
        yield from _pieces_of_part(content)
    elif content is not None:
        raise UnknownPartError(f"the reply contains a part of {type(content).__name__}, which is not text")


def _pieces_of_part(part: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the texts of one part; thinking is one text, however many parts it has."""
    kind = part.get("type")
    if kind == "refusal":
        raise RefusedError(_plain(part.get("refusal")))
    if kind in UNREADABLE_TYPES:
        return
    if not (kind is None or kind in TEXT_TYPES or kind in THINKING_TYPES):
        raise UnknownPartError(f"the reply contains a part of type {str(kind)[:40]!r}, which is not text")
    key = _key_of(part, kind)
    if key is None:
        return
    if kind in THINKING_TYPES or part.get("thought") is True or (kind is None and key in _THINKING_KEYS):
        yield "".join(text for text, _ in _pieces(part[key])), True
    else:
        yield from _pieces(part[key])


def _key_of(part: Mapping[str, Any], kind: str | None) -> str | None:
    """Return the key of a part's text, or None where it has none.

    Raises:
        UnknownPartError: For an unread one.
    """
    keys = (*_THINKING_KEYS, *_TEXT_KEYS) if kind in THINKING_TYPES else _TEXT_KEYS
    keys = (*keys, *_THINKING_KEYS) if kind is None else keys
    known = [key for key in keys if key in part and isinstance(part[key], str | list | Mapping)]
    filled = [key for key in known if part[key]]
    unread = [
        key for key, value in part.items() if key not in {"type", "id"} and isinstance(value, str | list | Mapping)
    ]
    if not known and any(part[key] for key in unread):
        name = next(key for key in unread if part[key])
        raise UnknownPartError(f"the reply contains a part with {str(name)[:40]!r}, which is not text")
    return next(iter((*filled, *known)), None)


def _plain(value: Any) -> str:
    """Return the text in a part, however deep it lies."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_plain, value))
    if isinstance(value, Mapping):
        return next((_plain(value[name]) for name in _INNER if value.get(name)), "")
    return ""
