"""The shortcut audit: how well a classifier that knows no meaning tells the chosen text from the rejected one.

A student that is trained on the pairs may learn what such a classifier finds (a phrase, a length, a list) in place of
what the judge valued. The classifier sees the character n-grams and the formatting of two texts, the prompt is hidden
from it, and it is tested on prompts that it was not trained on. It is a ridge classifier in numpy, since scikit-learn's
import alone costs each run a second of CPU.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from duckdb import DuckDBPyConnection

from kasasagi.blocks.canonical import digest_bytes
from kasasagi.tasks.reports.format_features import FEATURES, format_counts
from kasasagi.tasks.reports.ngrams import BEGIN, BUCKETS, END, marked, one_sided, phrase_of, read_one_sided
from kasasagi.tasks.reports.ridge import ridge_weights
from kasasagi.tasks.reports.statistics import Interval, Z, share

FEWEST = 50
"""With fewer pairs an AUC says nothing."""
MOST = 2_000
FOLDS = 5
GRAMS = 2_048
LEAST_PAIRS = 5
CHARACTERS_AT_ONCE = 1 << 16
FORMAT_WEIGHT = 12.0
"""How many n-grams one deviation of a format feature counts for."""
TELLING = 8
CANDIDATES = 40
LEAST_DEVIATIONS = 4.0
"""By how many standard deviations an n-gram must be commoner on one side; of thousands, a few reach 3 by chance."""
READ_HEAD, READ_TAIL = 8_000, 1_000
"""How many characters of a longer answer are read, from its beginning and from its end: memory stays small."""
# Ids are digests, so the first ones are a fair sample.
_PAIRS = """
WITH first AS (FROM pairs ORDER BY prompt_id, chosen_id, rejected_id LIMIT {most})
SELECT {chosen}, {rejected}, p.prompt_id FROM first AS p
JOIN responses AS c ON c.response_id = p.chosen_id JOIN responses AS r ON r.response_id = p.rejected_id
"""


class TextPair(NamedTuple):
    """The texts of one pair, and the prompt that it belongs to."""

    chosen: str
    rejected: str
    prompt_id: str


@dataclass(frozen=True, slots=True)
class TellingGram:
    """A string that tells chosen from rejected: the pairs with it in the chosen text alone and in the rejected alone.

    `begins` and `ends` say whether it stands at an end of the texts; `prompt_id` is that of one such pair.
    """

    text: str
    chosen_only: int
    rejected_only: int
    begins: bool
    ends: bool
    prompt_id: str


@dataclass(frozen=True, slots=True)
class FormatBias:
    """One format feature: its means, and the share of the pairs that differ in it where the chosen text has more."""

    feature: str
    chosen: float
    rejected: float
    more_in_chosen: Interval
    differ: int


@dataclass(frozen=True, slots=True)
class ShortcutAudit:
    """What the audit found in `pairs` of `of` pairs; `auc` is None where they are too few."""

    pairs: int
    of: int
    auc: Interval | None
    telling: tuple[TellingGram, ...]
    formats: tuple[FormatBias, ...]


def audit_shortcuts(pairs: Sequence[TextPair], of: int | None = None) -> ShortcutAudit:
    """Return what tells the chosen from the rejected texts; equal pairs give an equal audit, whatever their order.

    Args:
        pairs: The pairs; of more than 2,000 those with the lowest digests are read.
        of: How many pairs there are, if these are a sample.
    """
    named = sorted((pair_digest(pair), pair) for pair in pairs)[:MOST]
    drawn = [pair for _, pair in named]
    signs = np.array([1 if int(name[-1], 16) % 2 else -1 for name, _ in named], np.float32)
    counts = [format_counts([getattr(pair, side) for pair in drawn]) for side in ("chosen", "rejected")]
    if len(drawn) < FEWEST:
        return ShortcutAudit(len(drawn), of or len(pairs), None, (), tuple(_biases(*counts)))
    grams, folds = _Grams(drawn, _scaled(*counts)), fold_of(drawn)
    weights = ridge_weights(grams.features, _parts(folds))
    scores = signs * (grams.features @ weights)[np.arange(len(drawn)), folds]
    return ShortcutAudit(
        pairs=len(drawn),
        of=of or len(pairs),
        auc=_interval(auc_of(scores, signs > 0), len({pair.prompt_id for pair in drawn})),
        telling=grams.telling(weights[:, FOLDS]),
        formats=tuple(_biases(*counts)),
    )


def pairs_in(tables: DuckDBPyConnection) -> tuple[list[TextPair], int]:
    """Return a run's pairs, the first 2,000 by id if there are more, and how many there are."""
    found = tables.execute("SELECT count(*) FROM pairs").fetchone()
    texts = {side: _cut_text(f"{side[0]}.content") for side in ("chosen", "rejected")}
    rows = tables.execute(_PAIRS.format(most=MOST, **texts)).fetchall()
    return [TextPair(*row) for row in rows], int(found[0]) if found else 0


def _cut_text(column: str) -> str:
    """SQL for what is read of an answer."""
    both = f"left({column}, {READ_HEAD}) || right({column}, {READ_TAIL})"
    return f"CASE WHEN length({column}) > {READ_HEAD + READ_TAIL} THEN {both} ELSE {column} END"


def fold_of(pairs: Sequence[TextPair]) -> Any:
    """Return the fold of each pair; the pairs of a prompt are all in one."""
    prompts = sorted({pair.prompt_id for pair in pairs}, key=lambda name: digest_bytes(name.encode()))
    folds = {name: place % FOLDS for place, name in enumerate(prompts)}
    return np.array([folds[pair.prompt_id] for pair in pairs], int)


def auc_of(scores: Any, positive: Any) -> float:
    """Return the area under the ROC curve: how often a positive case scores higher than a negative one."""
    high, low = np.sort(scores[positive]), np.sort(scores[~positive])
    if not len(high) or not len(low):
        return 0.5
    below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(below.sum() / (2 * len(high) * len(low)))


def pair_digest(pair: TextPair) -> str:
    """Return a digest of a pair's texts and prompt."""
    return digest_bytes("\0".join(pair).encode("utf-8", "surrogatepass"))


class _Grams:
    """The n-grams that occur on one side alone of most pairs, as +1 (chosen), -1 (rejected) or 0 for each pair.

    They are the first columns of `features`; those of the formats follow.
    """

    def __init__(self, pairs: Sequence[TextPair], formats: Any) -> None:
        self._pairs = pairs
        found = [one_sided(some, first) for first, some in _batches(pairs)]
        counts = np.zeros(BUCKETS, np.int32)
        for keys in found:
            np.add.at(counts, read_one_sided(keys)[1], 1)
        common = np.flatnonzero(counts >= LEAST_PAIRS)
        self._buckets = common[np.argsort(-counts[common], kind="stable")[:GRAMS]]
        columns = np.full(BUCKETS, -1, np.int16)
        columns[self._buckets] = np.arange(len(self._buckets))
        self.features = np.zeros((len(pairs), len(self._buckets) + formats.shape[1]), np.float32)
        for keys in found:
            rows, buckets, sides = read_one_sided(keys[columns[read_one_sided(keys)[1]] >= 0])
            self.features[rows, columns[buckets]] = 1 - 2 * sides.astype(np.float32)
        self.features[:, len(self._buckets) :] = formats

    @property
    def presence(self) -> Any:
        """The columns of the n-grams."""
        return self.features[:, : len(self._buckets)]

    def telling(self, weights: Any) -> tuple[TellingGram, ...]:
        """Return the n-grams on which most pairs agree and that a classifier with these weights uses, as phrases."""
        sums, seen = self.presence.sum(axis=0), np.abs(self.presence).sum(axis=0)
        deviations = np.where(sums * weights[: len(sums)] > 0, np.abs(sums) / np.sqrt(np.maximum(seen, 1)), 0)
        order = np.argsort(-deviations, kind="stable")[:CANDIDATES]
        found: list[TellingGram] = []
        for column in order[deviations[order] >= LEAST_DEVIATIONS].tolist():
            one = self._described(column, int(np.sign(sums[column])))
            if len(found) < TELLING and _is_readable(one.text) and not _is_part(one, found):
                found.append(one)
        return tuple(found)

    def _described(self, column: int, side: int) -> TellingGram:
        rows = np.flatnonzero(self.presence[:, column] == side).tolist()
        texts = [marked(self._pairs[row][0 if side > 0 else 1]) for row in rows]
        phrase = phrase_of(int(self._buckets[column]), texts)
        return TellingGram(
            text=phrase.strip(BEGIN + END),
            chosen_only=int((self.presence[:, column] > 0).sum()),
            rejected_only=int((self.presence[:, column] < 0).sum()),
            begins=phrase.startswith(BEGIN),
            ends=phrase.endswith(END),
            prompt_id=self._pairs[rows[0]].prompt_id,
        )


def _is_readable(text: str) -> bool:
    """Return whether a string says something by itself: blanks, and a Latin letter or a digit alone, do not."""
    letters = text.strip()
    return len(letters) > 1 or (len(letters) == 1 and not (letters.isascii() and letters.isalnum()))


def _is_part(one: TellingGram, others: Sequence[TellingGram]) -> bool:
    """Return whether a string holds one of some others or is in it."""
    return any(one.text in other.text or other.text in one.text for other in others)


def _batches(pairs: Sequence[TextPair]) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Yield the marked texts of some pairs at a time, with the number of the first pair."""
    batch: list[tuple[str, str]] = []
    characters = 0
    for number, pair in enumerate(pairs, start=1):
        batch.append((marked(pair.chosen), marked(pair.rejected)))
        characters += len(batch[-1][0]) + len(batch[-1][1])
        if characters >= CHARACTERS_AT_ONCE or number == len(pairs):
            yield number - len(batch), batch
            batch, characters = [], 0


def _scaled(chosen: Any, rejected: Any) -> Any:
    """Return the differences of the format features as float32, on a logarithmic scale and of one deviation each."""
    differences = np.log1p(chosen) - np.log1p(rejected)
    deviations = np.sqrt((differences**2).mean(axis=0))
    return (FORMAT_WEIGHT * differences / np.where(deviations > 0, deviations, 1)).astype(np.float32)


def _parts(folds: Any) -> Any:
    """Return which pairs each classifier learns from: a column for each fold, without its pairs, and one for all."""
    return (folds[:, None] != np.arange(FOLDS + 1)).astype(np.float32)


def _interval(value: float, prompts: int) -> Interval:
    """Return an AUC with its interval (Hanley, McNeil 1982) for as many independent cases as there are prompts."""
    cases = max(1.0, prompts / 2)
    once, twice = value / (2 - value), 2 * value**2 / (1 + value)
    variance = value * (1 - value) + (cases - 1) * (once + twice - 2 * value**2)
    half = Z * math.sqrt(max(0.0, variance)) / cases
    return Interval(value, max(0.0, value - half), min(1.0, value + half))


def _biases(chosen: Any, rejected: Any) -> list[FormatBias]:
    """Return what each format feature says, without those in which no pair differs."""
    if not len(chosen):
        return []
    means = zip(chosen.mean(axis=0).tolist(), rejected.mean(axis=0).tolist(), strict=True)
    more, less = (chosen > rejected).sum(axis=0).tolist(), (chosen < rejected).sum(axis=0).tolist()
    return [
        FormatBias(name, *mean, found, high + low)
        for name, mean, high, low in zip(FEATURES, means, more, less, strict=True)
        if (found := share(high, high + low)) is not None
    ]
