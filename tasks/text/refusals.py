"""Refusals: short answers in which the assistant does not do what was asked; a classifier knows them."""

from kasasagi.tasks.text.classifier.classifier import classifier

REFUSAL_CHARS = 800
OPENING_CHARS = 200
ASKED_CHARS = 200


def refusal_in(instruction: str, content: str) -> str | None:
    """Return the opening of an answer that refuses, or None.

    A refusal is rather short, and says so in its first sentences.
    """
    if len(content) > REFUSAL_CHARS:
        return None
    opening, asked = looked_at(instruction, content)
    return opening if classifier("refusals").telling_words(opening, asked) is not None else None


def looked_at(instruction: str, content: str) -> tuple[str, str]:
    """Return the parts of an answer and of what it answers that tell whether it refuses."""
    return content.lstrip("*_# \n\t　")[:OPENING_CHARS], instruction[:ASKED_CHARS]
