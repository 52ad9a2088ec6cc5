"""A custom filter rule of the quickstart: an example of a Python function next to a recipe that checks every prompt.

hina is a small model of a small world. Sometimes it generates a question without an answer ("Which of a plane, a potato
and a cat does not belong?") or a garbled one. Its world knows which questions have an answer.
"""

from typing import Any

from kasasagi.hina.world.oracle import task_of


def has_an_answer(row: dict[str, Any]) -> str | None:
    """Return what is wrong with a prompt, or None: a rule may also return true or false."""
    return None if task_of(row["instruction"]) else "a question without an answer in hina's world"
