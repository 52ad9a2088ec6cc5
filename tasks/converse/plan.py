"""What a recipe's source says of several turns, with all that it leaves to the source filled in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kasasagi.blocks.models.kinds import Sampling
from kasasagi.tasks.converse.config import Answering, Turns, left_out
from kasasagi.tasks.load.config import DatasetSource
from kasasagi.tasks.mix.config import RunsSource
from kasasagi.tasks.pre_query import LiteralTemplate
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.stops import without_line_stops

INHERITED = "personal_data"
"""The rule of the filter that holds for further turns too, which are published as the first is."""
Rules = Sequence[str | dict[str, Any]]
PLAIN_SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_tokens=1024, stop=("\n\n",))


class TurnsError(ValueError):
    """Dialogues with several turns are requested, but no model is named that plays the user."""


@dataclass(frozen=True)
class Dialogues:
    """How dialogues continue: until how many user turns, who plays the user and who answers."""

    count: int
    model: str
    template: str | LiteralTemplate
    steer: str
    left_out: str
    sampling: Sampling
    answers: Answering
    rules: Rules
    round: int
    multi_line: bool
    place: str = "source.turns"
    """The part of the recipe that names the template, for errors."""

    @property
    def answerer(self) -> str:
        """The model that answers."""
        return self.answers.model or self.model

    def plain(self) -> list[Any]:
        """Return all that decides what is asked, as plain data."""
        template = self.template if isinstance(self.template, str) else self.template.model_dump()
        answers = self.answers.keyed()
        sampling = self.sampling.parameters()
        return [
            self.count, self.model, template, self.steer, without_line_stops(sampling) if self.multi_line else sampling,
            answers, list(self.rules), self.round, self.multi_line, self.left_out,
        ]  # fmt: skip


def has_further_turns(source: DatasetSource | MagpieSource | RunsSource) -> bool:
    """Return whether a source wants dialogues of several turns."""
    return _turns(source) is not None


def dialogues(source: DatasetSource | MagpieSource | RunsSource, filters: Rules = ()) -> Dialogues | None:
    """Return how a source's dialogues continue; None where each stays as it is. Raises TurnsError.

    filters are the rules of the recipe's filter: its `personal_data` is asked of further turns as well, unless their
    own rules name it.
    """
    turns = _turns(source)
    if turns is None:
        return None
    magpie = source if isinstance(source, MagpieSource) else None
    model = turns.model or (magpie.model if magpie else None)
    if model is None:
        raise TurnsError("source.turns: prompts of a dataset have no model of their own; name one that plays the user")
    own = magpie is not None and turns.model in (None, magpie.model)
    return Dialogues(
        count=turns.count,
        model=model,
        template=turns.template or (magpie.template if magpie and own else "auto"),
        steer=turns.steer or "",
        left_out=left_out(turns.steer, turns.steer_kept),
        sampling=(turns.sampling or Sampling()).over(magpie.sampling if magpie else PLAIN_SAMPLING),
        answers=turns.answers,
        rules=(*turns.rules, *_inherited_rules(filters, turns.rules)),
        round=magpie.round if magpie else 0,
        multi_line=magpie.multi_line if magpie else False,
        place="source" if own and turns.template is None else "source.turns",
    )


def _inherited_rules(filters: Rules, own: Rules) -> Rules:
    """Return what the filter says of personal data, where the rules for further turns say nothing of it."""
    return () if any(map(_is_inherited, own)) else [entry for entry in filters if _is_inherited(entry)]


def _is_inherited(entry: str | dict[str, Any]) -> bool:
    return entry == INHERITED if isinstance(entry, str) else INHERITED in entry


def _turns(source: DatasetSource | MagpieSource | RunsSource) -> Turns | None:
    turns = None if isinstance(source, RunsSource) else source.turns
    if isinstance(turns, int):
        return Turns(count=turns) if turns > 1 else None
    return turns
