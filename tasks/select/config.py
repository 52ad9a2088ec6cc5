"""How many prompts of each kind continue."""

import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from kasasagi.blocks.models.kinds import Config

_ORDER = re.compile(r"(?P<column>\S(?:.*\S)?)(?:\s+(?P<way>asc|desc))|(?P<alone>\S(?:.*\S)?)", re.IGNORECASE)


class SelectConfig(Config):
    """A quota: how many prompts with equal values in some columns continue."""

    per: tuple[str, ...] = Field(
        (), description="Columns whose values form the groups, such as category; none: all prompts are one group."
    )
    limit: int = Field(ge=1, description="Number of prompts that continue for each group.")
    order_by: tuple[str, ...] = Field(
        (),
        description="Columns that decide which prompts continue first; add `desc` to a name for descending order. "
        "quality and difficulty sort by their scale, ties by position. Order by prompt_id, a digest, for "
        "a fair draw.",
    )

    @field_validator("per", "order_by", mode="before", json_schema_input_type=tuple[str, ...] | str)
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def order(self) -> list[tuple[str, bool]]:
        """The columns of order_by, each with whether the greatest come first."""
        found = []
        for entry in self.order_by:
            match = _ORDER.fullmatch(entry.strip())
            column = (match["column"] or match["alone"]) if match else entry
            found.append((column, bool(match and (match["way"] or "").lower() == "desc")))
        return found

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Every column that it names, each with the key that names it."""
        return [("per", name) for name in self.per] + [("order_by", name) for name, _ in self.order]

    def most(self, values: Mapping[str, int]) -> int | None:
        """Return the most prompts that can pass, by how many values the columns have; None where that is not known."""
        if any(name not in values for name in self.per):
            return None
        return self.limit * math.prod(values[name] for name in self.per)
