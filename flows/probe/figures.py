"""The figures of a probe: pure functions of the texts that a model invented."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from kasasagi.blocks.models.kinds import Config
from kasasagi.tasks.filter.duplicates.keys import fold
from kasasagi.tasks.filter.duplicates.minhash import ngrams
from kasasagi.tasks.text.languages import language_of

MOST_COMPARED = 500
OPENING_WORDS = 3
OPENING_SIGNS = 6
SHINGLE = 3


class Shown(Config):
    """One invented instruction, as a person is shown it."""

    text: str = Field(description="What the model invented.")
    finish_reason: str | None = Field(None, description="Why it ended.")
    broken: tuple[str, ...] = Field((), description="The rules that it breaks.")


class ProbeFigures(Config):
    """What was measured on the samples of one model; shares are from 0 to 1."""

    draws: int = Field(description="Samples that were asked for.")
    invented: int = Field(description="Samples that hold a text.")
    failed: dict[str, int] = Field({}, description="Samples without a text, by reason.")
    accepted: float = Field(0.0, description="Share of the draws that the recipe's filter keeps, duplicates left out.")
    passes: dict[str, float] = Field({}, description="Share of the invented texts that keep each rule, on its own.")
    distinct: float = Field(0.0, description="Share of the invented texts that are left without exact duplicates.")
    near: float = Field(0.0, description="Share of the distinct texts that are near duplicates of an earlier one.")
    diversity: float = Field(0.0, description="Vendi score of the texts, as a share of how many there are.")
    opening: str = Field("", description="The commonest beginning.")
    opening_share: float = Field(0.0, description="Share of the texts that begin so.")
    answers: float = Field(0.0, description="Share of the texts that sound like an assistant.")
    cut: float = Field(0.0, description="Share of the texts that ended at max_tokens.")
    characters: tuple[int, int, int] = Field(
        (0, 0, 0), description="Characters: a tenth have fewer, half, nine tenths."
    )
    tokens: float = Field(0.0, description="Mean completion tokens of a draw.")
    languages: dict[str, float] = Field({}, description="Share of the texts in each language.")
    stops: dict[str, int] = Field({}, description="What stopped them, where the server says it.")
    calls_paid: int = Field(0, description="Calls that were sent now.")
    calls_reused: int = Field(0, description="Calls whose answers were in the ledger.")
    cost_usd: float = Field(0.0, description="Dollars that they cost.")
    usd_a_draw: float = Field(0.0, description="Dollars that a draw costs at the model's prices.")
    samples: tuple[Shown, ...] = Field((), description="Some of the texts, at even distances.")


def spread(texts: Sequence[str]) -> tuple[int, int, int]:
    """Return the lengths in characters that a tenth, half and nine tenths of the texts do not exceed."""
    if not texts:
        return 0, 0, 0
    found = np.percentile([len(text) for text in texts], [10, 50, 90], method="inverted_cdf")
    return int(found[0]), int(found[1]), int(found[2])


def languages(texts: Sequence[str]) -> dict[str, float]:
    """Return the share of the texts in each language, the commonest first; unclear where letters are too few."""
    counts = Counter(language_of(text) or "unclear" for text in texts)
    return {name: count / len(texts) for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))}


def opening(texts: Sequence[str]) -> tuple[str, float]:
    """Return the commonest beginning of some texts (three words, or six signs where there are no blanks), and its
    share.
    """
    if not texts:
        return "", 0.0
    counts = Counter(_beginning(fold(text)) for text in texts)
    words, count = min(counts.items(), key=lambda one: (-one[1], one[0]))
    return words, count / len(texts)


def _beginning(text: str) -> str:
    words = text.split()
    plain = " ".join(words[:OPENING_WORDS])
    return plain if text.isascii() else text[:OPENING_SIGNS]


def diversity(texts: Sequence[str]) -> float:
    """Return the Vendi score (Friedman, Dieng 2022) of some texts, divided by their number: 1 if no two share anything.

    It is the number of texts that, sharing nothing, would be as diverse: exp of the entropy of the eigenvalues of the
    similarity matrix, here the cosine of their sets of character 3-grams. At most 500 texts, at even distances, are
    compared.
    """
    chosen = at_even_distances(texts, MOST_COMPARED)
    if not chosen:
        return 0.0
    sets = [ngrams(fold(text).casefold(), SHINGLE) for text in chosen]
    numbers: dict[str, int] = {}
    places = [[numbers.setdefault(gram, len(numbers)) for gram in sorted(one)] for one in sets]
    matrix = np.zeros((len(sets), len(numbers)), np.float32)
    for row, columns in enumerate(places):
        matrix[row, columns] = 1 / np.sqrt(len(columns))
    values = np.linalg.eigvalsh((matrix @ matrix.T).astype(np.float64) / len(sets))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()) / len(sets))


def at_even_distances(items: Sequence[Any], most: int) -> list[Any]:
    """Return some of the items, at even distances, at most so many."""
    if len(items) <= most:
        return list(items)
    return [items[number * len(items) // most] for number in range(most)]
