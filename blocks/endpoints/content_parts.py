"""Read the content of a chat message as servers send it: a text, or a list of parts of text and of thinking.

Mistral sends `{"type": "thinking", "thinking": [{"type": "text", …}]}`, gateways to Anthropic and Gemini the same with
a plain text, OpenAI's own form is `{"type": "text", "text": …}`, its Responses API says output_text and refusal.
Thinking also comes in a field of its own: reasoning (vLLM, OpenRouter, Groq), reasoning_content (DeepSeek, SGLang,
llama.cpp), thinking (Ollama), reasoning_details (OpenRouter, MiniMax).
"""

from collections.abc import Mapping
from typing import Any

TEXT_TYPES = frozenset(("text", "output_text", "input_text"))
THINKING_TYPES = frozenset(("thinking", "reasoning", "reasoning_text", "reasoning.text", "reasoning.summary"))
UNREADABLE_TYPES = frozenset(("redacted_thinking", "reasoning.encrypted"))
"""Thinking that the server keeps to itself."""
REASONING_FIELDS = ("reasoning", "reasoning_content", "thinking", "reasoning_details")
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
    if content is None:
        return "", []
    if isinstance(content, str):
        return content, []
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        raise TypeError(f"the content is neither a text nor a list of parts but {type(content).__name__}")
    texts, thoughts = [], []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        if kind in TEXT_TYPES:
            texts.append(_plain(part))
        elif kind in THINKING_TYPES:
            thoughts.append(_plain(part))
        elif kind == "refusal":
            raise RefusedError(_plain(part.get("refusal")))
        elif kind not in UNREADABLE_TYPES:
            raise UnknownPartError(f"the reply holds a part of type {str(kind)[:40]!r}, which is not text")
    return "".join(texts), [thought for thought in thoughts if thought.strip()]


def _plain(value: Any) -> str:
    """The text in a part, however deep it lies."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_plain, value))
    if isinstance(value, Mapping):
        return next((_plain(value[name]) for name in _INNER if value.get(name)), "")
    return ""
