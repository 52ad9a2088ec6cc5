"""Whether politeness of style tells the chosen from the rejected: a judge may mistake it for worth."""

from typing import Any

from duckdb import DuckDBPyConnection

from kasasagi.tasks.filter.rules.politeness import politeness
from kasasagi.tasks.reports.statistics import Interval, Z, share

POLITE = "敬体"
_ROWS = 2_000
_PAIRS = """
SELECT c.content, r.content FROM pairs AS p
JOIN responses AS c ON c.response_id = p.chosen_id JOIN responses AS r ON r.response_id = p.rejected_id
"""


def politeness_figures(tables: DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the polite share of the chosen and of the rejected texts, and the difference, in pairs with two styles.

    Rows of the table `judge_figures`; none where no text has a style, as in English.
    """
    counts = {(chosen, rejected): 0 for chosen in (True, False) for rejected in (True, False)}
    cursor = tables.execute(_PAIRS)
    while rows := cursor.fetchmany(_ROWS):
        for texts in rows:
            styles = [politeness(text) for text in texts]
            if None not in styles:
                counts[styles[0] == POLITE, styles[1] == POLITE] += 1
    pairs = sum(counts.values())
    if not pairs:
        return []
    chosen, rejected = counts[True, True] + counts[True, False], counts[True, True] + counts[False, True]
    found = {
        "polite_among_chosen": share(chosen, pairs),
        "polite_among_rejected": share(rejected, pairs),
        "politeness_skew": _difference(counts[True, False], counts[False, True], pairs),
    }
    none = {"judge": None, "aspect": None, "subject": None}
    return [{"figure": name, **none, **one._asdict(), "cases": pairs} for name, one in found.items() if one]


def _difference(more: int, less: int, pairs: int) -> Interval:
    """Return the difference of two shares over the same pairs, with its normal interval; each side counts one case
    more.
    """
    middle = (more - less) / pairs
    padded, size = (more + 1, less + 1), pairs + 2
    variance = (sum(padded) - (padded[0] - padded[1]) ** 2 / size) / (size * size)
    half = Z * variance**0.5
    return Interval(middle, max(-1.0, middle - half), min(1.0, middle + half))
