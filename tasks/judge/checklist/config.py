"""The items of a checklist: as a recipe lists them, or as a cell of a column has them."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

import orjson
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from kasasagi.blocks.models.kinds import Config
from kasasagi.tasks.judge.checkers.instructions.constraints import Constraints
from kasasagi.tasks.judge.verify.config import VerifyConfig

HIGHEST = 10
"""The rating of a response that fulfils every item; one that fulfils none has 0."""
MOST_ITEMS = 100
_KINDS = ("auto", "number", "choice", "text", "regex", "json", "instructions")
"""The checkers that a cell of a dataset may name; none of them runs code."""
_TASK = re.compile(r"\A\s*\[[ xX]\]\s")
_BULLET = re.compile(r"\A\s*(?:(?:[-*+•・]|\d{1,3}[.)．、])\s+)?(?:\[[ xX]\]\s+)?")


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _constraints(value: Any) -> Any:
    """Return a mapping of constraints, such as {words: 50}, as what the checker of instructions takes."""
    named = isinstance(value, Mapping) and bool(value) and set(value) <= set(Constraints.model_fields)
    return {"kind": "instructions", "constraint": dict(value)} if named else value


class Item(Config):
    """One item of a checklist: what a good response fulfils."""

    item: Annotated[str, BeforeValidator(_one_line)] = Field(
        min_length=1, description="Question or statement about a response; yes means that the response fulfils it."
    )
    weight: float = Field(1.0, gt=0, le=1000, description="How much the item counts beside the others.")
    check: Annotated[VerifyConfig | None, BeforeValidator(_constraints)] = Field(
        None,
        description="What decides the item without a model: constraints, e.g. {words: {at_most: 50}}, or as in "
        "`verify`, e.g. {kind: number, truth: answer}.",
    )

    @model_validator(mode="after")
    def _runs_no_code(self) -> Self:
        if self.check is not None and self.check.kind not in _KINDS:
            raise ValueError(f"check.kind is {self.check.kind}; an item is checked by one of {', '.join(_KINDS)}")
        return self


def item_of(value: Any) -> Any:
    """Return an item that is written as a text alone as the mapping that it stands for."""
    return {"item": value} if isinstance(value, str) else value


_ITEMS = TypeAdapter(tuple[Annotated[Item, BeforeValidator(item_of)], ...])


def read_items(value: Any) -> tuple[Item, ...]:
    """Return the items in a cell: a list of texts or mappings, the same as JSON, or a text with an item on each line.

    Raises:
        ValueError: For what is none of these.
    """
    if isinstance(value, str):
        value = _listed(value)
    try:
        found = _ITEMS.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{f'item {place}: ' if place else ''}{first['msg']}") from error
    if len(found) > MOST_ITEMS:
        raise ValueError(f"{len(found)} items are more than {MOST_ITEMS}")
    return tuple({one.model_dump_json(): one for one in found}.values())


def _listed(text: str) -> Any:
    if text.lstrip().startswith(("[", "{")) and not _TASK.match(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"the list is not JSON ({error})") from error
    return [_BULLET.sub("", line) for line in text.splitlines() if line.strip()]
