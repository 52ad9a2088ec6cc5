"""Conversations in one text with alternating "Human: …" and "Assistant: …", as in hh-rlhf."""

import re

_LABEL = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def turns_of(text: str) -> list[dict[str, str]] | None:
    """Return the turns of a text that begins with `Human:` and has such a label after every empty line that ends a
    turn.

    Blanks around a turn's words are of the format, not of the turn. None for any other text.
    """
    before, *parts = _LABEL.split(text)
    if before.strip() or len(parts) < 4 or parts[0] != "Human":
        return None
    labelled = zip(parts[::2], parts[1::2], strict=True)
    return [{"role": _ROLES[label], "content": words.strip()} for label, words in labelled]
