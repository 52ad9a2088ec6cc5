"""The reports on judges: figures that are known from the literature or from verdicts made for the purpose."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.reports import keep_reports, reports
from kasasagi.tasks.reports.judge import histogram, judge_figures
from kasasagi.tasks.reports.politeness import politeness_figures
from kasasagi.tasks.reports.statistics import Totals, clustered_share, kappa, mean, share
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import build_database, open_tables
from tests.run_example import build_example_run


def test_wilsons_interval_is_the_one_in_the_books() -> None:
    found = share(81, 263)
    assert found is not None
    assert found == pytest.approx((0.3080, 0.2553, 0.3662), abs=1e-4)
    assert share(0, 0) is None
    nothing, everything = share(0, 10), share(10, 10)
    assert nothing is not None
    assert everything is not None
    assert nothing.low == 0 < nothing.high < 0.3
    assert everything.high == pytest.approx(1)
    assert 1 > everything.low > 0.7


def totals(hits: Sequence[float], cases: Sequence[float]) -> Totals:
    squares = [sum(a * b for a, b in zip(*some, strict=True)) for some in ((hits, hits), (hits, cases), (cases, cases))]
    return Totals(sum(hits), sum(cases), *squares, len(cases))


def test_cases_in_clusters_tell_less_than_as_many_that_are_independent() -> None:
    alone = clustered_share(totals([1.0] * 60 + [0.0] * 40, [1.0] * 100))
    together = clustered_share(totals([10.0] * 6 + [0.0] * 4, [10.0] * 10))
    plain = share(60, 100)
    assert alone is not None
    assert together is not None
    assert plain is not None
    assert alone.value == together.value == 0.6
    assert alone == pytest.approx(plain, abs=0.01)
    assert together.high - together.low > 2 * (alone.high - alone.low)


@given(st.lists(st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=30))
def test_an_interval_holds_its_share_within_bounds(clusters: list[tuple[int, int]]) -> None:
    found = clustered_share(totals(*zip(*clusters, strict=True)))
    assert found is not None
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1


def test_kappa_is_the_one_in_the_books() -> None:
    assert kappa({("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}) == pytest.approx(0.4)
    assert kappa({("y", "y"): 20}) is None
    assert kappa({}) is None


def test_students_interval_is_wide_for_few_and_endless_for_one() -> None:
    found = mean([1.0, 2.0, 3.0])
    assert found == pytest.approx((2.0, 2 - 4.303 / math.sqrt(3), 2 + 4.303 / math.sqrt(3)), abs=1e-3)
    assert mean([]) is None
    one = mean([5.0])
    assert one is not None
    assert (one.value, one.low, one.high) == (5.0, -math.inf, math.inf)


Mark = tuple[Any, ...]


@pytest.fixture
def tables() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def fill(
    tables: duckdb.DuckDBPyConnection,
    marks: Sequence[Mark],
    texts: dict[str, str] | None = None,
    pairs: Sequence[tuple[str, str]] = (),
) -> None:
    """Ratings from (judge, prompt, response, order, place, rating, call); a model is an id's first letter."""
    names = ("judge", "prompt_id", "response_id", "ordering", "place", "rating", "call_id")
    ratings = [{**dict(zip(names, mark, strict=False)), "aspect": "overall-rating"} for mark in marks]
    known = {mark[2]: mark[1] for mark in marks} | {name: "p" for pair in pairs for name in pair}
    responses = [
        {"response_id": name, "prompt_id": prompt, "model": name[0], "content": (texts or {}).get(name, name)}
        for name, prompt in known.items()
    ]
    rows: dict[str, list[dict[str, Any]]] = {"ratings": ratings, "responses": responses, "calls": []}
    rows["pairs"] = [{"prompt_id": "p", "chosen_id": one, "rejected_id": other} for one, other in pairs]
    for name, some in rows.items():
        tables.register(f"{name}_rows", table(name, some))
        tables.execute(f"CREATE TABLE {name} AS FROM {name}_rows")


def figure(rows: Sequence[dict[str, Any]], name: str, subject: str | None = None) -> dict[str, Any]:
    [row] = [row for row in rows if row["figure"] == name and row["subject"] == subject]
    return row


def both_orders(prompt: str, verdicts: dict[str, tuple[float, float]], judge: str = "j") -> list[Mark]:
    """Marks of two responses, (first order, turned order) each; the second response stands first when turned."""
    (one, marks), (other, others) = verdicts.items()
    first = [(judge, prompt, one, "first", 1, marks[0]), (judge, prompt, other, "first", 2, others[0])]
    return [*first, (judge, prompt, other, "swapped", 1, others[1]), (judge, prompt, one, "swapped", 2, marks[1])]


def test_a_judge_that_likes_what_it_sees_first_is_found_out(tables: duckdb.DuckDBPyConnection) -> None:
    swayed = [both_orders(f"p{n}", {f"a{n}": (5, 2), f"b{n}": (2, 5)}) for n in range(30)]
    steady = [both_orders(f"q{n}", {f"a{n}x": (5, 5), f"b{n}x": (1, 1)}) for n in range(10)]
    half = [both_orders(f"r{n}", {f"a{n}y": (5, 3), f"b{n}y": (3, 3)}) for n in range(10)]
    fill(tables, [mark for some in (*swayed, *steady, *half) for mark in some])
    rows = judge_figures(tables)
    assert figure(rows, "same_in_both_orders")["value"] == pytest.approx(10 / 50)
    assert figure(rows, "flips_with_the_order")["value"] == pytest.approx(30 / 50)
    first = figure(rows, "prefers_the_first")
    assert first["value"] == pytest.approx((60 + 10 + 10) / (60 + 20 + 10))
    assert first["cases"] == 90
    assert first["low"] > 0.5


def test_only_texts_that_were_seen_together_have_a_place(tables: duckdb.DuckDBPyConnection) -> None:
    matches = [("a1", "b1"), ("b1", "c1"), ("c1", "a1")]
    marks = [
        ("j", "p", text, "first", place, float(2 - place), f"call {one}{other}")
        for one, other in matches
        for place, text in ((1, one), (2, other))
    ]
    fill(tables, marks)
    first = figure(judge_figures(tables), "prefers_the_first")
    assert (first["value"], first["cases"]) == (1.0, 3)


def test_models_win_by_their_mean_and_ties_are_halves(tables: duckdb.DuckDBPyConnection) -> None:
    won = [both_orders(f"p{n}", {f"a{n}": (5, 4), f"b{n}": (2, 2)}) for n in range(6)]
    tied = [both_orders(f"q{n}", {f"a{n}x": (3, 2), f"b{n}x": (2, 3)}) for n in range(4)]
    same_model = both_orders("r", {"a1y": (5, 5), "a2y": (1, 1)})
    fill(tables, [mark for some in (*won, *tied, same_model) for mark in some])
    rows = judge_figures(tables)
    assert figure(rows, "win_rate", "a")["value"] == pytest.approx(0.8)
    assert figure(rows, "win_rate", "b")["value"] == pytest.approx(0.2)
    assert figure(rows, "win_rate", "a")["cases"] == 10


def test_the_histogram_counts_every_rating_by_model(tables: duckdb.DuckDBPyConnection) -> None:
    fill(tables, [*both_orders("p", {"a1": (5, 4), "b1": (1, 1)}), *both_orders("q", {"a2": (5, 5), "b2": (1, 2)})])
    counts = {(row["model"], row["rating"]): row["verdicts"] for row in histogram(tables)}
    assert counts == {("a", 5.0): 3, ("a", 4.0): 1, ("b", 1.0): 3, ("b", 2.0): 1}


def test_many_ratings_are_counted_in_steps(tables: duckdb.DuckDBPyConnection) -> None:
    fill(tables, [("j", f"p{n}", f"a{n}", "first", 1, n / 7) for n in range(500)])
    rows = histogram(tables)
    assert len(rows) == 21
    assert sum(row["verdicts"] for row in rows) == 500


def test_a_judge_of_length_is_found_out_within_prompts_too(tables: duckdb.DuckDBPyConnection) -> None:
    marks = [mark for n in range(40) for mark in both_orders(f"p{n}", {f"a{n}": (5, 5), f"b{n}": (1, 2)})]
    texts = {f"a{n}": "x" * (50 + n) for n in range(40)} | {f"b{n}": "x" * (10 + n) for n in range(40)}
    fill(tables, marks, texts)
    rows = judge_figures(tables)
    assert figure(rows, "length_correlation_within_prompts")["value"] == pytest.approx(1, abs=0.01)
    overall = figure(rows, "length_correlation")
    assert 0.5 < overall["low"] < overall["value"] < overall["high"] < 1


def test_a_judge_that_always_says_the_same_has_no_correlation(tables: duckdb.DuckDBPyConnection) -> None:
    fill(tables, [mark for n in range(9) for mark in both_orders(f"p{n}", {f"a{n}": (3, 3), f"b{n}": (3, 3)})])
    assert {row["figure"] for row in judge_figures(tables)} == {
        "same_in_both_orders",
        "flips_with_the_order",
        "win_rate",
    }


KRIPPENDORFF = {
    "a": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    "b": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    "c": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    "d": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
}


def test_alpha_is_the_one_of_krippendorffs_own_example(tables: duckdb.DuckDBPyConnection) -> None:
    """https://repository.upenn.edu/asc_papers/43: four observers, twelve units, interval data, alpha 0.849."""
    marks = [
        (judge, f"p{unit}", f"r{unit}", "first", 1, float(mark))
        for judge, some in KRIPPENDORFF.items()
        for unit, mark in enumerate(some)
        if mark is not None
    ]
    fill(tables, marks)
    found = figure(judge_figures(tables), "krippendorffs_alpha")
    assert found["value"] == pytest.approx(0.849, abs=5e-4)
    assert (found["cases"], found["low"]) == (40, None)


def test_two_judges_agree_as_far_as_their_verdicts_do(tables: duckdb.DuckDBPyConnection) -> None:
    marks = []
    for n in range(10):
        marks += both_orders(f"p{n}", {f"a{n}": (5, 5), f"b{n}": (1, 1)}, "one")
        opposite = n < 2
        marks += both_orders(f"p{n}", {f"a{n}": (1, 1) if opposite else (4, 4), f"b{n}": (2, 2)}, "two")
    fill(tables, marks)
    rows = judge_figures(tables)
    same = figure(rows, "same_as_the_other_judge", "two")
    assert (same["judge"], same["value"], same["cases"]) == ("one", pytest.approx(0.8), 10)
    assert -1 < figure(rows, "cohens_kappa", "two")["value"] <= 0.8


def test_two_aspects_agree_as_far_as_their_verdicts_do(tables: duckdb.DuckDBPyConnection) -> None:
    marks = [mark for n in range(10) for mark in both_orders(f"p{n}", {f"a{n}": (5, 5), f"b{n}": (1, 1)})]
    fill(tables, marks)
    assert "same_as_the_other_aspect" not in {row["figure"] for row in judge_figures(tables)}
    tables.execute(
        "INSERT INTO ratings SELECT * REPLACE ('truthfulness' AS aspect, "
        "CASE WHEN prompt_id IN ('p0', 'p1', 'p2') AND ordering = 'first' THEN 3 ELSE rating END AS rating) "
        "FROM ratings"
    )
    rows = judge_figures(tables)
    assert len([row for row in rows if row["figure"] == "same_as_the_other_aspect"]) == 1
    found = figure(rows, "same_as_the_other_aspect", "truthfulness")
    assert (found["aspect"], found["value"], found["cases"]) == ("overall-rating", pytest.approx(17 / 20), 20)


def test_politeness_that_sways_the_judge_is_found_out(tables: duckdb.DuckDBPyConnection) -> None:
    texts = {"a": "水は百度で沸騰します。", "b": "水は百度で沸騰する。", "c": "It boils."}
    pairs = [("a1", "b1"), ("a2", "b2"), ("a3", "a4"), ("b3", "a5"), ("c1", "c2"), ("a6", "b6")]
    fill(tables, [], {name: texts[name[0]] for pair in pairs for name in pair}, pairs)
    rows = politeness_figures(tables)
    assert figure(rows, "polite_among_chosen")["value"] == pytest.approx(4 / 5)
    assert figure(rows, "polite_among_rejected")["value"] == pytest.approx(2 / 5)
    skew = figure(rows, "politeness_skew")
    assert (skew["value"], skew["cases"]) == (pytest.approx(2 / 5), 5)
    assert skew["low"] < 0 < skew["high"] <= 1


def test_a_run_without_ratings_has_no_figures(tables: duckdb.DuckDBPyConnection) -> None:
    fill(tables, [])
    assert reports(tables, {}) == {"rating_histogram": [], "judge_figures": []}


def test_the_reports_are_tables_of_the_run(tmp_path: Path) -> None:
    run = build_example_run(tmp_path, prompts=9, ended=False)
    keep_reports(run)
    build_database(run)
    with open_tables(run) as found:
        wins = "SELECT value FROM judge_figures WHERE figure = 'win_rate' AND subject = 'large'"
        assert found.execute(wins).fetchone()[0] > 0.5
        counted = "SELECT (SELECT sum(verdicts) FROM rating_histogram), (SELECT count(*) FROM ratings)"
        assert len(set(found.execute(counted).fetchone())) == 1
        assert "report" not in [row[0] for row in found.execute("SELECT stage FROM stages").fetchall()]
