"""A linear classifier of texts: each piece has a weight, and a text is of the kind where their sum is above zero."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Literal

import orjson

from kasasagi.tasks.text.classifier.pieces import LONGEST_RUN, other_pieces, tokens_of

Kind = Literal["refusals", "private_life", "missing_context"]
WEIGHTS = Path(__file__).with_name("weights")
UNIT = 0.01
FEWEST_TOKENS = 5
"""Those of three words or so, and the marks around them: less says nothing."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """The weights of pieces, in hundredths, and what is added to their sum.

    No run is looked up that none of the known runs begins with.
    """

    weights: Mapping[str, int]
    bias: float
    beginnings: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Note how the known runs begin."""
        runs = (piece.split(" ") for piece in self.weights)
        found = frozenset(" ".join(run[:end]) for run in runs for end in range(1, len(run)))
        object.__setattr__(self, "beginnings", found)

    def score(self, tokens: Sequence[str], asked: Sequence[str] = ()) -> float:
        """Return how far a text is above the limit, from its tokens and those of what it answers.

        The longer the text, the less each piece counts.
        """
        return self.bias + UNIT * sum(map(self.weights.__getitem__, self._known(tokens, asked))) / sqrt(len(tokens))

    def telling_words(self, text: str, asked: str = "") -> str | None:
        """Return the words that tell most that a text is of the kind; None where it is not.

        Args:
            text: The text.
            asked: What it answers, if anything.
        """
        tokens = tokens_of(text)
        if len(tokens) < FEWEST_TOKENS or self.score(tokens, tokens_of(asked)[1:-1]) <= 0:
            return None
        runs = [run for run in self._known_runs(tokens) if sum(word.isalnum() for word in run.split(" ")) > 1]
        return _as_words(max(runs, key=lambda run: (self.weights[run], run), default=tokens[1]))

    def _known(self, tokens: Sequence[str], asked: Sequence[str]) -> set[str]:
        """Return the pieces of a text that have a weight."""
        others = (piece for piece in other_pieces(tokens, asked) if piece in self.weights)
        return {*self._known_runs(tokens), *others}

    def _known_runs(self, tokens: Sequence[str]) -> Iterator[str]:
        for place in range(len(tokens)):
            run = ""
            for token in tokens[place : place + LONGEST_RUN]:
                run = f"{run} {token}" if run else token
                if run in self.weights:
                    yield run
                if run not in self.beginnings:
                    break


def _as_words(run: str) -> str:
    words = run.strip("^$ ")
    return words if words.isascii() else words.replace(" ", "")


@cache
def classifier(kind: Kind) -> Classifier:
    """Return the classifier of a kind, as `kasasagi.tasks.text.classifier.train` wrote it."""
    found = orjson.loads((WEIGHTS / f"{kind}.json").read_bytes())
    return Classifier(found["weights"], found["bias"])
