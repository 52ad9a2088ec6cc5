"""Rules on what an instruction presumes: that the model has a private life, or sees what is not there.

A classifier tells both by an instruction's words. Each gives None where the instruction holds and else what was found.
"""

from collections.abc import Sequence
from typing import Any

from kasasagi.tasks.text.classifier.classifier import classifier

LONGEST = 600
"""Characters of the longest instruction that is looked at: a longer one contains what it refers to."""


def private_life(text: str) -> str | None:
    """Reject an instruction about the responder's private life: a model has no home, no family and no weekend."""
    if len(text) > LONGEST:
        return None
    words = classifier("private_life").telling_words(text)
    return None if words is None else f"asks about the responder's private life: {words!r}"


def missing_context(text: str, messages: Sequence[Any]) -> str | None:
    """Reject an instruction that speaks of something that is not there: a table below, an attachment, an earlier talk.

    Later turns of a dialogue may speak of what was said before.
    """
    if len(text) > LONGEST or sum(turn["role"] == "user" for turn in messages) > 1:
        return None
    words = classifier("missing_context").telling_words(text)
    return None if words is None else f"refers to something that is missing: {words!r}"
