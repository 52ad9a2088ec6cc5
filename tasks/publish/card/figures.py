"""What the published rows are like in numbers, counted while they stream by."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kasasagi.tasks.publish.formats.base import ANSWERS
from kasasagi.tasks.text.languages import language_of

LANGUAGE_SHARE = 0.02
"""A language is named in the card from this share of the prompts on."""

SIDES = ("chosen", "rejected")


@dataclass(slots=True)
class ModelFigures:
    """One model in the published pairs."""

    chosen: int = 0
    rejected: int = 0
    responses: int = 0
    rated: int = 0
    ratings: float = 0.0
    counted: int = 0
    tokens: int = 0
    marks: Counter[float] = field(default_factory=Counter)

    @property
    def mean_rating(self) -> float | None:
        """The mean of its ratings in the pairs; None where it has none."""
        return self.ratings / self.rated if self.rated else None

    @property
    def mean_tokens(self) -> float | None:
        """The mean length of its answers whose server reported it; None where none did."""
        return self.tokens / self.counted if self.counted else None


@dataclass(slots=True)
class CardFigures:
    """Counts and sums over all published rows.

    `pairs` counts rows of whatever kind, `prompts` the prompts of responses that no pairs are made of.
    """

    pairs: int = 0
    prompts: int = 0
    margins: Counter[float] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    turns: Counter[int] = field(default_factory=Counter)
    with_system: int = 0
    chosen_longer: int = 0
    models: dict[str, ModelFigures] = field(default_factory=dict)
    lengths: dict[str, Counter[int]] = field(default_factory=lambda: {side: Counter() for side in SIDES})

    def add(self, rows: pa.Table) -> None:
        """Count some more rows."""
        self.pairs += rows.num_rows
        self.margins.update(round(margin, 1) for margin in rows["margin"].to_pylist() if margin is not None)
        self.chosen_longer += pc.sum(pc.greater(*(_characters(rows[side]) for side in SIDES))).as_py() or 0
        for side in SIDES:
            self._add_side(rows, side)
        for messages in rows["prompt"].to_pylist():
            self.add_prompt(messages)

    def _add_side(self, rows: pa.Table, side: str) -> None:
        names = (f"{side}_model", f"{side}_rating", f"{side}_tokens")
        for model, rating, tokens in zip(*(rows[name].to_pylist() for name in names), strict=True):
            figures = self.models.setdefault(model, ModelFigures())
            setattr(figures, side, getattr(figures, side) + 1)
            figures.rated += rating is not None
            figures.ratings += rating or 0.0
            if rating is not None:
                figures.marks[round(rating, 1)] += 1
            if tokens:  # provided answers have none, and a server without usage says 0
                figures.counted += 1
                figures.tokens += tokens
                self.lengths[side][tokens] += 1

    def add_responses(self, rows: pa.Table) -> None:
        """Count the responses of some more prompts, of which no pairs are made."""
        for messages, answers in zip(rows["prompt"].to_pylist(), rows[ANSWERS].to_pylist(), strict=True):
            self.prompts += 1
            self.add_prompt(messages)
            for answer in answers:
                self.pairs += 1
                figures = self.models.setdefault(answer["model"], ModelFigures())
                figures.responses += 1
                if answer["completion_tokens"]:
                    figures.counted += 1
                    figures.tokens += answer["completion_tokens"]

    def add_prompt(self, messages: list[dict[str, Any]]) -> None:
        """Count a prompt's turns, its system message and its language."""
        self.turns[sum(turn["role"] == "user" for turn in messages)] += 1
        self.with_system += any(turn["role"] == "system" for turn in messages)
        users = [turn["content"] for turn in messages if turn["role"] == "user"]
        self.languages[(language_of(users[-1]) if users else None) or "unknown"] += 1

    def hub_languages(self) -> list[str]:
        """Return the languages of the prompts by their ISO 639-1 codes, the commonest first, where scripts
        tell them.
        """
        enough = LANGUAGE_SHARE * self.languages.total()
        return [name for name, count in self.languages.most_common() if len(name) == 2 and count >= enough]


def _characters(answers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the length of each answer's text."""
    return pc.utf8_length(pc.struct_field(pc.list_element(answers, 0), "content"))
