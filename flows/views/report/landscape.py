"""The instructions as a map: what reads alike lies close together, and near duplicates are ringed."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from kasasagi.blocks.workspace.runs import Product
from kasasagi.flows.views.language import say
from kasasagi.flows.views.report.charts import BAD, FAINT, SERIES, Chart, drawing
from kasasagi.flows.views.report.facts import Facts
from kasasagi.flows.views.safe_text import one_line, plural

if TYPE_CHECKING:
    import numpy as np

POINTS = 900
REPEATS = 300
LEAST_POINTS = 12
READ_CHARS = 1_000
SHOWN_CHARS = 140
SHOWN_DUPLICATES = 12
NEAR = 0.7
DUPLICATES = ("duplicate", "near_duplicate")
COLOURS = (SERIES[0], SERIES[1], FAINT)
"""Of an instruction that gives a pair, of one that gives none, and of one that was quarantined as a duplicate."""
DOT_POINTS = (4.0, 12.0)
"""The least and the largest diameter of a dot; a phone shows the map at half its size."""
_SAMPLE = """
SELECT left(instruction, ?) AS text, prompt_id IN (SELECT prompt_id FROM pairs) AS paired
FROM prompts WHERE length(trim(instruction)) >= 3 ORDER BY prompt_id LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Landscape:
    """The map: its chart, the text of each point by group, and the most similar instructions."""

    chart: Chart
    texts: dict[str, list[str]]
    alike: list[dict[str, Any]]


def landscape(facts: Facts) -> Landscape | None:
    """Return the map of a sample of the instructions; None where there are too few for one.

    Texts are compared by their character n-grams, which needs no model and serves every language: TF-IDF, its first
    components, and t-SNE (van der Maaten and Hinton, 2008) of them. Two are near duplicates where they share so many
    of their distinct trigrams as the recipe's filter asks for, or 0.7.
    """
    texts, kinds = _sampled(facts)
    if len(texts) < LEAST_POINTS:
        return None
    near = _near(facts)
    alike = _alike(texts, near)
    places = _places(texts)
    ringed = {place for one, other, _ in alike for place in (one, other)}
    whole = facts.prompts
    shown = sum(kind < 2 for kind in kinds)
    notes = [say("Similar instructions are close together.")]
    if ringed:
        notes.append(say(f"{plural(len(ringed), 'instruction')} with a near duplicate: ringed."))
    if shown < whole:
        notes.append(say(f"From a sample of {shown:,} of {whole:,}."))
    chart = Chart("Map of the instructions", " ".join(notes), wide=True)
    groups = [[place for place, kind in enumerate(kinds) if kind == wanted] for wanted in range(len(COLOURS))]
    _draw(chart, places, groups, sorted(ringed))
    _explain(chart, facts.run.product(), groups, sorted(ringed))
    shown_texts = {
        f"map-{number}": [one_line(texts[place], SHOWN_CHARS) for place in group] for number, group in enumerate(groups)
    }
    most_similar = [
        {"one": one_line(texts[one], SHOWN_CHARS), "other": one_line(texts[other], SHOWN_CHARS), "share": share}
        for one, other, share in alike[:SHOWN_DUPLICATES]
    ]
    return Landscape(chart, shown_texts, most_similar)


def _sampled(facts: Facts) -> tuple[list[str], list[int]]:
    """Texts, and for each its place in COLOURS: a sample of the prompts, and of those quarantined as duplicates.

    Where no pairs are made there is nothing to miss, so that all prompts are of one colour.
    """
    rows = facts.rows(_SAMPLE, READ_CHARS, POINTS)
    pairless = facts.run.product() != "pairs"
    texts, kinds = [row["text"] for row in rows], [0 if row["paired"] or pairless else 1 for row in rows]
    query = "SELECT payload FROM quarantine WHERE stage = 'filter' AND reason IN ? ORDER BY row_id, payload LIMIT ?"
    for payload in facts.column(query, list(DUPLICATES), REPEATS):
        text = _instruction(payload)[:READ_CHARS]
        if len(text.strip()) >= 3:
            texts.append(text)
            kinds.append(2)
    return texts, kinds


def _instruction(payload: str | None) -> str:
    try:
        found = orjson.loads(payload or "")
    except orjson.JSONDecodeError:
        return ""
    text = found.get("instruction") if isinstance(found, dict) else None
    return text if isinstance(text, str) else ""


def _near(facts: Facts) -> float:
    """From which share of common trigrams on two texts are near duplicates: as the recipe's filter says."""
    dedup = (facts.run.recipe().get("filter") or {}).get("dedup") or {}
    near = dedup.get("near") if isinstance(dedup, dict) else None
    return float(near) if isinstance(near, int | float) and not isinstance(near, bool) else NEAR


def _places(texts: list[str]) -> "np.ndarray[Any, Any]":
    """Return two coordinates for each text."""
    import numpy as np
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    grams = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, max_features=20_000)
    matrix = grams.fit_transform(texts)
    most = min(40, len(texts) - 1, matrix.shape[1] - 1)
    perplexity = min(30.0, (len(texts) - 1) / 3)
    # More threads would add up in another order each time, and wait for each other in a busy loop.
    with threadpool_limits(1), np.errstate(invalid="ignore", divide="ignore"):  # equal texts have no variance
        reduced = TruncatedSVD(max(1, most), random_state=0).fit_transform(matrix).round(6)
        found: np.ndarray[Any, Any] = TSNE(
            init="random", perplexity=perplexity, max_iter=500, random_state=0
        ).fit_transform(reduced)
    return found


def _alike(texts: list[str], near: float) -> list[tuple[int, int, float]]:
    """Return the couples of texts that share so many of their distinct trigrams, the most similar first (Jaccard)."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer

    grams = CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True).fit_transform(texts)
    sizes = np.asarray(grams.sum(axis=1)).ravel()
    common = (grams @ grams.T).tocoo()
    upper = common.row < common.col
    rows, columns, shared = common.row[upper], common.col[upper], common.data[upper]
    shares = shared / (sizes[rows] + sizes[columns] - shared)
    found = np.flatnonzero(shares >= near)
    order = found[np.lexsort((columns[found], rows[found], -shares[found]))]
    return [(int(rows[place]), int(columns[place]), float(shares[place])) for place in order]


def dot_points(dots: int) -> float:
    """Return the diameter of each of so many dots: few ones are larger, and none is too small to be seen."""
    least, largest = DOT_POINTS
    return max(least, min(largest, 80 / math.sqrt(max(1, dots))))


def _draw(chart: Chart, places: "np.ndarray[Any, Any]", groups: list[list[int]], ringed: list[int]) -> None:
    dot = dot_points(len(places))
    with drawing(chart, (9.4, 4.6)) as axes:
        for number, (group, colour) in enumerate(zip(groups, COLOURS, strict=True)):
            if group:
                drawn = axes.scatter(places[group, 0], places[group, 1], s=dot**2, color=colour, linewidths=0)
                drawn.set_gid(f"map-{number}")
        if ringed:
            x, y = places[ringed, 0], places[ringed, 1]
            rings = axes.scatter(x, y, s=(dot + 3) ** 2, facecolors="none", edgecolors=BAD, linewidths=1)
            rings.set_gid("map-rings")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[["left", "bottom"]].set_visible(False)


def _explain(chart: Chart, product: Product, groups: list[list[int]], ringed: list[int]) -> None:
    """Add what the colours of the map stand for."""
    names = ("gives a pair" if product == "pairs" else "instructions", "gives none", "quarantined as a duplicate")
    for name, colour, group in zip(names, COLOURS, groups, strict=True):
        if group:
            chart.add_key(colour, f"{say(name)} ({len(group):,})")
    if ringed:
        chart.add_key(BAD, f"{say('near duplicates')} ({len(ringed):,})", ring=True)
