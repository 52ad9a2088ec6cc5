"""A checklist about one response: what checkers have decided, what is left to ask, and the rating in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from kasasagi.tasks.judge.checkers.finding import Finding, cannot_tell
from kasasagi.tasks.judge.checkers.named import CHECKERS
from kasasagi.tasks.judge.checklist.config import HIGHEST, Item
from kasasagi.tasks.judge.checklist.recognise import check_for
from kasasagi.tasks.judge.replies.checklist import ItemAnswer
from kasasagi.tasks.judge.verify.work import check_one

_ANSWERS: Mapping[str, Literal["yes", "no"]] = {"correct": "yes", "incorrect": "no"}


@dataclass(frozen=True, slots=True)
class Sheet:
    """The items of a prompt with what checkers found in one response; no verdict where none of them could decide."""

    items: tuple[Item, ...]
    found: tuple[Finding, ...]

    @property
    def open_places(self) -> tuple[int, ...]:
        """The places of the items that are left to ask: those without a check, then those that it could not decide.

        All responses to a prompt share the first ones, so a server reads them once.
        """
        left = [place for place, one in enumerate(self.found) if one.verdict == "cannot_tell"]
        return tuple(sorted(left, key=lambda place: self.found[place].reason != NO_CHECK))

    @property
    def questions(self) -> tuple[str, ...]:
        """The items that are left to ask, as texts."""
        return tuple(self.items[place].item for place in self.open_places)

    @property
    def undecided(self) -> Finding | None:
        """Why the first item without a verdict has none; None where every item has one."""
        left = ((item, one) for item, one in zip(self.items, self.found, strict=True) if one.verdict == "cannot_tell")
        return next((replace(one, detail=f"{item.item}: {one.detail}") for item, one in left), None)

    def rating(self, shares: Sequence[float] = ()) -> float:
        """Return the weighted share of the items that are fulfilled, from 0 to 10 with two decimals.

        Args:
            shares: How far each question is answered with yes, in their order: 1 or 0, or between them by probability.
        """
        asked = dict(zip(self.open_places, shares, strict=True))
        total = sum(one.weight for one in self.items)
        met = (asked.get(at, float(one.verdict == "correct")) for at, one in enumerate(self.found))
        return round(HIGHEST * sum(one.weight * share for one, share in zip(self.items, met, strict=True)) / total, 2)

    def rationale(self, answers: Sequence[ItemAnswer] = (), shares: Sequence[float] | None = None) -> str:
        """Return a line for each item: yes or no, who said so, its weight and the reason.

        Args:
            answers: The judge's answers to the questions, in their order.
            shares: The probabilities of yes, where they are known.
        """
        likely = [""] * len(answers) if shares is None else [f", {share:.0%} yes" for share in shares]
        asked = dict(zip(self.open_places, zip(answers, likely, strict=True), strict=True))
        return "\n".join(self._line(place, *asked.get(place, (None, ""))) for place in range(len(self.items)))

    def _line(self, place: int, answer: ItemAnswer | None, likely: str) -> str:
        one, found = self.items[place], self.found[place]
        weight = f" (weight {one.weight:g})" if one.weight != 1 else ""
        if answer is None:
            return f"{_ANSWERS[found.verdict]}, checked: {one.item}{weight} | {found.detail}"
        reason = f" | {answer.reason}" if answer.reason else ""
        return f"{'yes' if answer.yes else 'no'}{likely}: {one.item}{weight}{reason}"


NO_CHECK = "no_check"
_UNCHECKED = cannot_tell("no checker can decide this item", NO_CHECK)


def sheet_for(items: Sequence[Item], prompt: Mapping[str, Any], answer: Mapping[str, Any]) -> Sheet:
    """Return the sheet of one response: each item that a checker can decide is decided."""
    return Sheet(tuple(items), tuple(_found(one, prompt, answer) for one in items))


def _found(item: Item, prompt: Mapping[str, Any], answer: Mapping[str, Any]) -> Finding:
    check = item.check or check_for(item.item)
    return _UNCHECKED if check is None else check_one(check, CHECKERS.find(check.kind, Path()), prompt, answer)


def unchecked(questions: Sequence[str]) -> Sheet:
    """Return a sheet on which nothing is decided, of some questions of equal weight."""
    return Sheet(tuple(Item(item=one) for one in questions), (_UNCHECKED,) * len(questions))
