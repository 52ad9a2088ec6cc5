"""A linear classifier of texts: each piece has a weight, and a text is of the kind where their sum is above zero."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Literal

import orjson

from kasasagi.tasks.text.classifier.pieces import pieces_of

Kind = Literal["refusals", "private_life", "missing_context"]
WEIGHTS = Path(__file__).with_name("weights")
UNIT = 0.01
LEAST_PIECES = 12
"""Those of three words or so: less tells nothing."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """The weights of pieces, in hundredths, and what is added to their sum."""

    weights: Mapping[str, int]
    bias: float

    def score(self, pieces: set[str]) -> float:
        """Return how far a text's pieces are above the limit; the more pieces, the less each counts."""
        total = sum(self.weights.get(piece, 0) for piece in pieces)
        return self.bias + UNIT * total / sqrt(len(pieces))

    def telling_words(self, text: str, asked: str = "") -> str | None:
        """Return the words that tell most that a text is of the kind; None where it is not.

        Args:
            text: The text.
            asked: What it answers, if anything.
        """
        pieces = pieces_of(text, asked)
        if len(pieces) < LEAST_PIECES or self.score(pieces) <= 0:
            return None
        runs = [piece for piece in pieces if " " in piece and not piece.startswith(("asked ", "length "))]
        return _as_words(max(runs, key=lambda piece: (self.weights.get(piece, 0), piece), default=""))


def _as_words(piece: str) -> str:
    words = piece.strip("^$ ")
    return words if words.isascii() else words.replace(" ", "")


@cache
def classifier(kind: Kind) -> Classifier:
    """Return the classifier of a kind, as `kasasagi.tasks.text.classifier.train` wrote it."""
    found = orjson.loads((WEIGHTS / f"{kind}.json").read_bytes())
    return Classifier(found["weights"], found["bias"])
