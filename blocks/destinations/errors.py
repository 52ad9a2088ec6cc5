"""The error for data that could not be sent to its destination; its message contains no keys."""

import re

CHARACTERS = 300


class DestinationError(Exception):
    """Nothing was changed at the destination, or it can be done again: the reason and the remedy in one sentence."""


def one_sentence(error: BaseException, secret: str | None = None) -> str:
    """Return what an error of a library says, on one line and short; a secret that it repeats is replaced by ***."""
    text = " ".join(str(error).split()) or type(error).__name__
    if secret:
        text = text.replace(secret, "***")
    text = re.sub(r"\s*\(Request ID:[^)]*\)", "", text)
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"
