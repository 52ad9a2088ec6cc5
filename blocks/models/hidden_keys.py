"""Hides API keys in what a server sends: some servers repeat the key that they were sent, in errors or in answers."""

import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kasasagi.blocks.models.llm import Completion

MASK = "***"
TEXTS = ("text", "reasoning", "finish_reason", "stop_reason", "detail")
SHORTEST_KEY = 8
LONGEST_WORD = 20
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)(_ID)?$")
_WORD = re.compile(r"[A-Z]?[a-z]*|[A-Z]*")
_ESCAPES = (b"\\u00", b"\\/")


def is_secret(value: str) -> bool:
    """Return whether a value is looked for in texts.

    Local servers are often given a placeholder ("EMPTY", "anything") as their key. Hiding such a word in every answer
    would damage the data, so a value of fewer than SHORTEST_KEY characters and a plain word are no secrets.
    """
    return len(value) >= SHORTEST_KEY and not (len(value) < LONGEST_WORD and _WORD.fullmatch(value))


@dataclass(frozen=True)
class KeyMask:
    """Replaces one key by *** in texts and in the bodies of replies; a placeholder is no secret and stays."""

    key: str

    @cached_property
    def is_needed(self) -> bool:
        """Whether the key is a secret."""
        return is_secret(self.key)

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        """Match the key in JSON, in which each character may be written as an escape."""
        return re.compile(b"".join(_json_forms(character) for character in self.key))

    def text(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self.key, MASK) if self.is_needed else text

    def body(self, body: bytes) -> bytes:
        """Return the body of a reply without the key."""
        if not self.is_needed:
            return body
        if any(escape in body for escape in _ESCAPES):
            return self._pattern.sub(MASK.encode(), body)
        return body.replace(self.key.encode(), MASK.encode())


def hidden_in(completion: Completion, hide: Callable[[str], str]) -> Completion:
    """Return a completion whose texts have all passed through a function."""
    texts = {name: text for name in TEXTS if (text := getattr(completion, name))}
    changed: dict[str, Any] = {name: found for name, text in texts.items() if (found := hide(text)) != text}
    return replace(completion, **changed) if changed else completion


def without_environment_keys(text: str, variables: Collection[str] = ()) -> str:
    """Return a text without any value of the environment that is a secret by its name, or is one of the variables'."""
    for value in _environment_keys(variables):
        text = text.replace(value, MASK)
    return text


def _environment_keys(variables: Collection[str]) -> Iterator[str]:
    for name, value in os.environ.items():
        if is_secret(value.strip()) and (_SECRET_NAME.search(name) or name in variables):
            yield value.strip()


def _json_forms(character: str) -> bytes:
    """Return a pattern for each way in which JSON may write a character."""
    plain = character.encode()
    forms = [re.escape(plain), b"\\\\u" + f"(?i:{ord(character):04x})".encode()]
    if character in '/"\\':
        forms.append(re.escape(b"\\" + plain))
    return b"(?:" + b"|".join(forms) + b")"
