"""Train the classifiers: `python -m kasasagi.tasks.text.classifier.train [KIND …]`, some minutes on one core.

The sentences are those of models/sentences. Each author's are judged by what the others' taught, which gives the limit
above which a text is of the kind, and the shares that are printed. Then all sentences teach the weights that ship.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import orjson
from numpy.typing import NDArray

from kasasagi.tasks.text.classifier.classifier import UNIT, WEIGHTS, Classifier, Kind
from kasasagi.tasks.text.classifier.pieces import pieces_of, tokens_of
from kasasagi.tasks.text.refusals import looked_at

SENTENCES = Path(__file__).resolve().parents[3] / "models" / "sentences"
LOST: Mapping[Kind, float] = {"refusals": 0.02, "private_life": 0.015, "missing_context": 0.006}
"""The share of good sentences that the limit may lose; those of refusals are nearly all close to bad ones."""
KEPT = ("author", "lang", "label", "prompt")
REPORTS, OF_REPORTS = 0, 5
"""The author of the sentences that reports complained of, and how often each counts."""
FEWEST_TIMES = 3
MOST_PIECES = 10_000
STRENGTH = 4.0

Sentence = dict[str, Any]
Tokens = tuple[list[str], list[str]]


def main(kinds: Sequence[Kind]) -> None:
    """Train each kind, print what it caught and lost, and write its weights."""
    for kind in kinds:
        sentences = read(kind)
        tokens = [_tokens(one) for one in sentences]
        scores = _scores_by_others(sentences, tokens)
        limit = _limit(sentences, scores, LOST[kind])
        print(f"{kind}: {_shares(sentences, scores, limit)}")
        trained = train(sentences, tokens)
        written = {"bias": round(trained.bias - limit, 4), "weights": dict(sorted(trained.weights.items()))}
        (WEIGHTS / f"{kind}.json").write_bytes(orjson.dumps(written, option=orjson.OPT_INDENT_2) + b"\n")


def read(kind: Kind) -> list[Sentence]:
    """Return the sentences of a kind; the good prompts of the other kinds are good for a kind of prompts, too."""
    own = _lines(kind)
    if kind == "refusals":
        return own
    others = [one for other in get_args(Kind) if other != kind for one in _lines(other) if one["label"] == "good"]
    known = {one["prompt"] for one in own}
    return own + [{key: one[key] for key in KEPT} for one in others if one["prompt"] not in known]


def _lines(kind: Kind) -> list[Sentence]:
    return [orjson.loads(line) for line in (SENTENCES / f"{kind}.jsonl").read_bytes().splitlines()]


def train(sentences: Sequence[Sentence], tokens: Sequence[Tokens]) -> Classifier:
    """Return the classifier that logistic regression learns from some sentences and their tokens."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    pieces = [sorted(pieces_of(*one)) for one in tokens]
    counts = Counter(piece for one in pieces for piece in one)
    columns = {piece: place for place, piece in enumerate(sorted(p for p, n in counts.items() if n >= FEWEST_TIMES))}
    cells = [
        (len(tokens[row][0]) ** -0.5, row, columns[piece])
        for row, one in enumerate(pieces)
        for piece in one
        if piece in columns
    ]
    values, rows, places = zip(*cells, strict=True)
    table = csr_matrix((values, (rows, places)), shape=(len(pieces), len(columns)))
    bad = [one["label"] == "bad" for one in sentences]
    counted = [OF_REPORTS if one["author"] == REPORTS else 1 for one in sentences]
    learnt = LogisticRegression(C=STRENGTH, max_iter=2000).fit(table, bad, sample_weight=counted)
    return _rounded(list(columns), learnt.coef_[0], float(learnt.intercept_[0]))


def _rounded(names: Sequence[str], weights: NDArray[np.float64], bias: float) -> Classifier:
    """Return the heaviest pieces alone, in whole units."""
    heaviest = np.argsort(-np.abs(weights), kind="stable")[:MOST_PIECES]
    kept = {names[place]: round(float(weights[place]) / UNIT) for place in heaviest}
    return Classifier({piece: weight for piece, weight in kept.items() if weight}, bias)


def _tokens(sentence: Sentence) -> Tokens:
    """Return the tokens of a sentence, and of what it answers."""
    if "answer" not in sentence:
        return tokens_of(sentence["prompt"]), []
    answer, asked = looked_at(sentence["prompt"], sentence["answer"])
    return tokens_of(answer), tokens_of(asked)[1:-1]


def _scores_by_others(sentences: Sequence[Sentence], tokens: Sequence[Tokens]) -> NDArray[np.float64]:
    """Return the score of each sentence by a classifier that has not seen its author's."""
    scores = np.zeros(len(sentences))
    for author in sorted({one["author"] for one in sentences}):
        others = [place for place, one in enumerate(sentences) if one["author"] != author]
        learnt = train([sentences[place] for place in others], [tokens[place] for place in others])
        for place, one in enumerate(sentences):
            if one["author"] == author:
                scores[place] = learnt.score(*tokens[place])
    return scores


def _limit(sentences: Sequence[Sentence], scores: NDArray[np.float64], lost: float) -> float:
    good = [score for one, score in zip(sentences, scores, strict=True) if one["label"] == "good"]
    return float(np.quantile(good, 1 - lost))


def _shares(sentences: Sequence[Sentence], scores: NDArray[np.float64], limit: float) -> str:
    """Return the shares of bad sentences caught and of good ones lost, by language."""
    shares = []
    for language in ("en", "ja"):
        for label, word in (("bad", "caught"), ("good", "lost")):
            these = [
                score > limit
                for one, score in zip(sentences, scores, strict=True)
                if (one["lang"], one["label"]) == (language, label)
            ]
            shares.append(f"{language} {word} {sum(these)} of {len(these)} ({np.mean(these):.0%})")
    return ", ".join(shares)


if __name__ == "__main__":
    main([kind for kind in get_args(Kind) if kind in (sys.argv[1:] or get_args(Kind))])
