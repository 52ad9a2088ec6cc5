"""The key by which two prompts are the same: their turns in Unicode NFKC with whitespace folded. For comparing only."""

import unicodedata
from collections.abc import Sequence

from blocks.canonical import digest


def fold(text: str) -> str:
    """A text in NFKC, each run of whitespace one blank, none at the ends."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).split())


def exact_key(messages: Sequence[dict[str, str]]) -> str:
    """The key of a conversation: equal for two that differ only in compatibility forms and whitespace."""
    return digest([[message["role"], fold(message["content"])] for message in messages])
