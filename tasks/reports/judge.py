"""The reports on a run's judges: what they give, how steady they are, what they favour, and how far they agree.

All is worked out from the tables `ratings`, `responses` and `pairs`, in DuckDB, so that memory does not grow with the
rows. A judge's word on two responses that it saw together, under one aspect and in one order, is called a verdict: the
sign of the difference of their ratings.
"""

import math
from collections.abc import Iterator
from typing import Any

from duckdb import DuckDBPyConnection

from kasasagi.tasks.judge.verify.ranking import DECIDING
from kasasagi.tasks.reports.statistics import Interval, Totals, Z, clustered_share, kappa, share

Row = dict[str, Any]

# A reward model gives no grades: where there are many different ratings, they are counted in steps of their range.
HISTOGRAM = """
WITH range AS (
    SELECT count(DISTINCT rating) > 21 AS many, min(rating) AS low, (max(rating) - min(rating)) / 20 AS step
    FROM ratings
)
SELECT w.judge, w.aspect, r.model, count(*) AS verdicts,
       CASE WHEN many THEN low + step * floor((w.rating - low) / step) ELSE w.rating END AS rating
FROM ratings AS w JOIN responses AS r USING (response_id), range GROUP BY ALL ORDER BY 1, 2, 3, 5
"""
_VERDICTS = """
verdicts AS (
    SELECT a.prompt_id, a.judge, a.aspect, a.ordering, a.response_id AS one, b.response_id AS other,
           sign(a.rating - b.rating) AS verdict, sign(b.place - a.place) * sign(a.rating - b.rating) AS for_earlier
    FROM ratings AS a JOIN ratings AS b USING (prompt_id, judge, aspect, ordering)
    WHERE a.response_id < b.response_id AND a.call_id IS NOT DISTINCT FROM b.call_id
        AND a.place <> b.place
)"""
# A query of cases gives judge, aspect, subject, prompt_id and hit; a share is the sum of the hits by their number.
_SAME = f"""
WITH {_VERDICTS}
SELECT judge, aspect, NULL AS subject, prompt_id, (min(verdict) = max(verdict))::DOUBLE AS hit
FROM verdicts GROUP BY judge, aspect, prompt_id, one, other HAVING count(DISTINCT ordering) > 1
"""
_FLIPPED = f"""
WITH {_VERDICTS}
SELECT judge, aspect, NULL AS subject, prompt_id, (min(verdict) < 0 AND max(verdict) > 0)::DOUBLE AS hit
FROM verdicts GROUP BY judge, aspect, prompt_id, one, other HAVING count(DISTINCT ordering) > 1
"""
_FIRST = f"""
WITH {_VERDICTS}
SELECT judge, aspect, NULL AS subject, prompt_id, (for_earlier > 0)::DOUBLE AS hit
FROM verdicts WHERE verdict <> 0
"""
_MEANS = f"""
means AS (
    SELECT prompt_id, response_id, avg(rating) AS rating FROM {DECIDING} GROUP BY prompt_id, response_id
),
marked AS (SELECT m.*, r.model FROM means AS m JOIN responses AS r USING (response_id))"""
_WINS = f"""
WITH {_MEANS}
SELECT NULL AS judge, NULL AS aspect, a.model AS subject, a.prompt_id,
       (1 + sign(a.rating - b.rating)) / 2 AS hit
FROM marked AS a JOIN marked AS b USING (prompt_id) WHERE a.model <> b.model
"""
_ASPECTS = f"""
WITH {_VERDICTS}
SELECT a.judge, a.aspect, b.aspect AS subject, a.prompt_id, (a.verdict = b.verdict)::DOUBLE AS hit
FROM verdicts AS a JOIN verdicts AS b USING (judge, ordering, one, other) WHERE a.aspect < b.aspect
"""
_SHARES = {
    "same_in_both_orders": _SAME,
    "flips_with_the_order": _FLIPPED,
    "prefers_the_first": _FIRST,
    "same_as_the_other_aspect": _ASPECTS,
    "win_rate": _WINS,
}
_TOTALS = """
SELECT judge, aspect, subject, sum(h), sum(c), sum(h * h), sum(h * c), sum(c * c), count(*)
FROM (SELECT judge, aspect, subject, prompt_id, sum(hit) AS h, count(*)::DOUBLE AS c FROM ({cases}) GROUP BY ALL)
GROUP BY ALL ORDER BY ALL
"""
# Spearman's correlation is that of the ranks, equal values sharing their mean rank.
_LENGTHS = """
WITH marked AS (
    SELECT w.judge, w.prompt_id, w.response_id, avg(w.rating) AS rating, any_value(length(r.content)) AS characters
    FROM ratings AS w JOIN responses AS r USING (response_id) GROUP BY w.judge, w.prompt_id, w.response_id
),
ranked AS (
    SELECT judge, rating - avg(rating) OVER prompt AS rating_within,
           characters - avg(characters) OVER prompt AS characters_within,
           rank() OVER (PARTITION BY judge ORDER BY rating) + count(*) OVER (PARTITION BY judge, rating) / 2 AS place,
           rank() OVER (PARTITION BY judge ORDER BY characters)
               + count(*) OVER (PARTITION BY judge, characters) / 2 AS length_place
    FROM marked WINDOW prompt AS (PARTITION BY judge, prompt_id)
)
SELECT judge, corr(place, length_place), corr(rating_within, characters_within), count(*)
FROM ranked GROUP BY judge ORDER BY judge
"""
_UNITS = """
units AS (
    SELECT judge, prompt_id, response_id, aspect, avg(rating) AS rating
    FROM ratings GROUP BY judge, prompt_id, response_id, aspect
)"""
# Krippendorff's alpha with the interval metric: 1 - observed by expected disagreement, from variances alone.
_ALPHA = f"""
WITH {_UNITS},
shared AS (
    SELECT aspect, rating, count(*) OVER unit AS m, var_samp(rating) OVER unit AS within
    FROM units WINDOW unit AS (PARTITION BY response_id, aspect)
)
SELECT aspect, 1 - avg(within) / nullif(var_samp(rating), 0) AS alpha, count(*) AS cases
FROM shared WHERE m > 1 GROUP BY aspect ORDER BY aspect
"""
_READ = """
SELECT judge, aspect, NULL AS subject, prompt_id, (read = 'distribution')::DOUBLE AS hit
FROM ratings WHERE read IS NOT NULL
"""
_BETWEEN = f"""
WITH {_UNITS},
comparisons AS (
    SELECT a.judge, a.aspect, a.response_id AS one, b.response_id AS other, sign(a.rating - b.rating) AS verdict
    FROM units AS a JOIN units AS b USING (judge, prompt_id, aspect) WHERE a.response_id < b.response_id
)
SELECT a.judge AS judge, b.judge AS subject, a.aspect, a.verdict, b.verdict, count(*)
FROM comparisons AS a JOIN comparisons AS b USING (aspect, one, other) WHERE a.judge < b.judge GROUP BY ALL ORDER BY ALL
"""


def histogram(tables: DuckDBPyConnection) -> list[Row]:
    """Return how often each judge gave each rating to each model, by aspect: rows of the table `rating_histogram`."""
    names = ("judge", "aspect", "model", "verdicts", "rating")
    return [dict(zip(names, row, strict=True)) for row in tables.execute(HISTOGRAM).fetchall()]


def reads_distributions(tables: DuckDBPyConnection) -> bool:
    """Return whether the ratings say how they were read, as those by distribution do."""
    return any(column[0] == "read" for column in tables.execute("DESCRIBE ratings").fetchall())


def judge_figures(tables: DuckDBPyConnection) -> list[Row]:
    """Return every figure with its 95% interval where it has one: rows of the table `judge_figures`.

    Shares are taken over verdicts that are clustered by prompt. Correlations and agreement are from -1 to 1.
    """
    return [*_shares(tables), *_lengths(tables), *_agreement(tables)]


def _figure(name: str, found: Interval | None, cases: float, **of: str | None) -> Iterator[Row]:
    if found is not None:
        row: Row = {"figure": name, "judge": None, "aspect": None, "subject": None, **of}
        yield row | found._asdict() | {"cases": round(cases)}


def _shares(tables: DuckDBPyConnection) -> Iterator[Row]:
    read = {"read_by_distribution": _READ} if reads_distributions(tables) else {}
    for name, cases in {**_SHARES, **read}.items():
        for judge, aspect, subject, *sums in tables.execute(_TOTALS.format(cases=cases)).fetchall():
            totals = Totals(*sums)
            yield from _figure(name, clustered_share(totals), totals.cases, judge=judge, aspect=aspect, subject=subject)


def _lengths(tables: DuckDBPyConnection) -> Iterator[Row]:
    for judge, overall, within, responses in tables.execute(_LENGTHS).fetchall():
        for name, value in (("length_correlation", overall), ("length_correlation_within_prompts", within)):
            yield from _figure(name, _correlation(value, responses), responses, judge=judge)


def _correlation(value: float | None, cases: int) -> Interval | None:
    """Return a correlation with Fisher's interval; None where one side never varies."""
    if value is None or math.isnan(value) or cases < 4:
        return None
    middle, half = math.atanh(max(-0.999999, min(0.999999, value))), Z / math.sqrt(cases - 3)
    return Interval(value, math.tanh(middle - half), math.tanh(middle + half))


def _agreement(tables: DuckDBPyConnection) -> Iterator[Row]:
    for aspect, alpha, cases in tables.execute(_ALPHA).fetchall():
        yield from _bare("krippendorffs_alpha", alpha, cases, aspect=aspect)
    counts: dict[tuple[str, str, str], dict[tuple[str, str], int]] = {}
    for judge, other, aspect, one, two, number in tables.execute(_BETWEEN).fetchall():
        counts.setdefault((judge, other, aspect), {})[str(one), str(two)] = number
    for (judge, other, aspect), verdicts in counts.items():
        of = {"judge": judge, "subject": other, "aspect": aspect}
        total = sum(verdicts.values())
        same = sum(number for (one, two), number in verdicts.items() if one == two)
        yield from _figure("same_as_the_other_judge", share(same, total), total, **of)
        yield from _bare("cohens_kappa", kappa(verdicts), total, **of)


def _bare(name: str, value: float | None, cases: float, **of: str | None) -> Iterator[Row]:
    """Yield a figure without an interval."""
    if value is not None:
        for row in _figure(name, Interval(value, value, value), cases, **of):
            yield row | {"low": None, "high": None}
