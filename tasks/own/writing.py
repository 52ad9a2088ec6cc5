"""What a user's own stage is written with: the decorator, a request, and a rejection."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.models.llm import Message

Row = Mapping[str, Any]
Columns = Mapping[str, Any]
Kind = type[str] | type[int] | type[float] | type[bool]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a model: `yield Ask(…)` in a stage returns the parsed reply.

    Attributes:
        model: A model's name in the recipe.
        messages: The chat messages that it is sent.
        read: Reads the reply; it raises UnreadableError for a reply that does not say what was asked for.
        sampling: Sampling laid over the model's, such as {"temperature": 0, "max_tokens": 64}.
    """

    model: str
    messages: Sequence[Message]
    read: Callable[[str], Any] = str
    sampling: Mapping[str, Any] = field(default_factory=dict)


class RejectError(Exception):
    """Raised in a stage for a row that does not continue.

    Args:
        reason: One word that rows are counted by, such as too_long.
        detail: What was wrong with this row.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


Work = Callable[[Any, Row], Generator[Ask, Any, Columns | None] | Columns | None]


@dataclass(frozen=True)
class OwnFunction:
    """A stage's function, with its settings' model and the columns that it adds."""

    work: Work
    settings: type[Config]
    columns: Mapping[str, Kind]
    version: int

    def __call__(self, settings: Any, row: Row) -> Any:
        """Do the stage's work on one row."""
        return self.work(settings, row)


def stage(
    settings: type[Config] = Config, *, columns: Mapping[str, Kind] | None = None, version: int = 1
) -> Callable[[Work], OwnFunction]:
    """Make a function of one row a stage that a recipe can name under `stages`.

    The function is given its settings and a row. It yields `Ask(...)` for each question and gets the parsed reply;
    it returns the values of its columns, or raises RejectError for a row that does not continue. A row whose
    question has no answer, or none that can be read, is rejected automatically.

    Args:
        settings: A subclass of Config with the keys that the recipe may set.
        columns: The columns that it adds, each with str, int, float or bool.
        version: Raise it when the same row and reply would give something else.
    """
    kinds = (str, int, float, bool)
    for name, kind in (columns or {}).items():
        if kind not in kinds:
            raise TypeError(f"the column {name!r} holds {kind!r}: write one of str, int, float and bool")
    return lambda work: OwnFunction(work, settings, columns or {}, version)
