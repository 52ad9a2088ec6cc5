"""Mixing: shares within one pair, no duplicate across parts, no prompt on both sides, whatever order the parts have."""

import json
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage
from kasasagi.tasks.mix.combined_ratings import combine_ratings_for
from kasasagi.tasks.mix.config import MixError, RunsSource
from kasasagi.tasks.mix.shares import pairs_of_parts
from kasasagi.tasks.pipeline import default_expectations
from kasasagi.tasks.publish import PublishConfig, publish
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import build_database, open_tables
from tests.mixed import finished_run, mixed, rows_of, words

NUMBERS = st.integers(1, 400)
SHARED = words(10, "shared")


def source(parts: dict[str, Any], **settings: Any) -> RunsSource:
    return RunsSource.model_validate({"parts": {name: {"run": name, **one} for name, one in parts.items()}, **settings})


@given(st.lists(st.tuples(st.integers(1, 99), NUMBERS), min_size=1, max_size=5), st.integers(0, 3), st.data())
def test_every_share_is_within_one_pair_and_more_pairs_only_add(
    some: list[tuple[int, int]], grown: int, data: st.DataObject
) -> None:
    total = sum(weight for weight, _ in some)
    shares = {str(n): weight / total for n, (weight, _) in enumerate(some)}
    mix, left = (
        source({name: {"share": share} for name, share in shares.items()}),
        {str(n): c for n, (_, c) in enumerate(some)},
    )
    taken = pairs_of_parts(mix, left)
    _within_one(taken, shares)
    assert all(taken[name] <= left[name] for name in left)
    larger = pairs_of_parts(mix, {**left, "0": left["0"] + grown})
    assert all(larger[name] >= taken[name] for name in left)
    if wanted := sum(taken.values()):
        limit = data.draw(st.integers(1, wanted))
        few = pairs_of_parts(mix, left, limit)
        assert sum(few.values()) == limit
        _within_one(few, {name: count / wanted for name, count in taken.items()})


def _within_one(taken: dict[str, int], shares: dict[str, float]) -> None:
    total, exact = sum(taken.values()), sum(shares.values())
    assert all(abs(taken[name] - share / exact * total) < 1 for name, share in shares.items())


@given(st.integers(1, 1000), st.lists(st.integers(1, 99), min_size=1, max_size=6))
def test_a_wanted_number_of_pairs_is_met_and_divided_within_one_pair(wanted: int, weights: list[int]) -> None:
    shares = {str(n): weight / sum(weights) for n, weight in enumerate(weights)}
    mix = source({name: {"share": share} for name, share in shares.items()}, pairs=wanted)
    taken = pairs_of_parts(mix, dict.fromkeys(shares, 2000))
    assert sum(taken.values()) == wanted
    _within_one(taken, shares)
    more = pairs_of_parts(mix.model_copy(update={"pairs": wanted + 1}), dict.fromkeys(shares, 2000))
    assert all(more[name] >= taken[name] for name in shares)


def test_pairs_that_are_not_there_are_not_promised() -> None:
    left = {"code": 30, "math": 700}
    with pytest.raises(
        MixError, match=r"parts\.code: 300 pairs are wanted, and 30 are left without duplicates; ask for"
    ):
        pairs_of_parts(source({"code": {"share": 0.3}, "math": {"share": 0.7}}, pairs=1000), left)
    with pytest.raises(MixError, match=r"parts\.code: 31 pairs are wanted"):
        pairs_of_parts(source({"code": {"pairs": 31}, "math": {"pairs": 1}}), left)
    with pytest.raises(MixError, match=r"parts\.math: no pair is left without duplicates; leave this part out"):
        pairs_of_parts(source({"code": {}, "math": {}}), {"code": 1, "math": 0})
    assert pairs_of_parts(source({"code": {"share": 0.3}, "math": {"share": 0.7}}), left) == {"code": 30, "math": 70}
    assert pairs_of_parts(source({"code": {}, "math": {}}), left) == left
    assert pairs_of_parts(source({"code": {}, "math": {}}), left, 73) == {"code": 3, "math": 70}


@pytest.mark.parametrize(
    ("parts", "settings", "message"),
    [
        ({"a": {"share": 0.3}, "b": {"share": 0.6}}, {}, "add up to 0.9 and not to 1"),
        ({"a": {"share": 0.3}, "b": {"pairs": 6}}, {}, "in different ways; write share for all of them"),
        ({"a": {"share": 1.0, "pairs": 6}}, {}, "in different ways"),
        ({"a": {"pairs": 6}}, {"pairs": 5}, "is divided by shares; write share for each part"),
        ({"a b": {}}, {}, "'a b' has not the form of a name"),
        ({"a": {"recipe": "x"}}, {}, "a part is one run"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(parts: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        source(parts, **settings)
    assert source({"a": {"share": 0.33}, "b": {"share": 0.33}, "c": {"share": 0.33}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two runs that share ten prompts, nine of them with another letter at the end."""
    folder = tmp_path_factory.mktemp("mix")
    near = [*SHARED[:1], *(f"{text[:-1]}!" for text in SHARED[1:])]
    finished_run(folder, "20260101-code", [*words(40, "code"), *SHARED], name="code", kept={"level": 3})
    finished_run(
        folder, "20260102-math", [*words(60, "math"), *near], name="math", pairs_each=2, kept={"topic": "sums"}
    )
    return folder


PARTS = {"code": {"run": "20260101", "share": 0.4}, "math": {"recipe": "math", "share": 0.6}}


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return mixed(folder, PARTS, publish={"split": {"test": 0.3}})


def test_a_mix_has_each_prompt_once_and_accounts_for_all_pairs(run: Run) -> None:
    [(pairs, code, math)] = rows_of(
        run, "SELECT count(*), count(*) FILTER (part = 'code'), count(*) FILTER (part = 'math') FROM pairs"
    )
    assert abs(code - 0.4 * pairs) <= 1
    assert code + math == pairs
    texts = [text for (text,) in rows_of(run, "SELECT instruction FROM prompts")]
    assert len({text.rstrip("?!") for text in texts}) == len(texts)
    lost = dict(rows_of(run, "SELECT reason, count(*) FROM quarantine GROUP BY ALL"))
    assert (lost["duplicate"], lost["near_duplicate"]) == (1, 9)
    accounts = rows_of(run, "SELECT stage, rows_in - rows_out - quarantined, calls_paid + calls_reused FROM stages")
    assert accounts == [(stage, 0, 0) for stage in ("load", "filter", "mix")]
    [(over,)] = rows_of(run, "SELECT sum(pairs_left - pairs)::INT FROM mix_parts")
    assert over == lost["over_share"] > 0
    payload = rows_of(run, "SELECT payload FROM quarantine WHERE reason = 'over_share' ORDER BY payload LIMIT 1")[0][0]
    assert json.loads(payload).keys() == {"part", "run", "prompt_id", "chosen_id", "rejected_id"}


def test_models_and_judges_are_named_by_part_and_nothing_costs_anything(run: Run) -> None:
    models = {name for (name,) in rows_of(run, "SELECT DISTINCT model FROM responses")}
    assert models == {f"{part}/{name}" for part in ("code", "math") for name in ("small", "large")}
    assert set(rows_of(run, "SELECT DISTINCT judge FROM ratings")) == {("code/critic",), ("math/critic",)}
    assert rows_of(run, "SELECT DISTINCT reused, cost_usd FROM calls") == [(True, 0.0)]
    kept = rows_of(run, "SELECT DISTINCT part, level, topic, part_run FROM pairs ORDER BY 1")
    assert kept == [("code", 3, None, "20260101-code"), ("math", None, "sums", "20260102-math")]
    assert rows_of(run, "SELECT count(*) FROM pairs WHERE chosen_id NOT IN (SELECT response_id FROM responses)") == [
        (0,)
    ]


def test_the_order_of_the_parts_changes_no_row_and_a_larger_part_keeps_what_is_there(folder: Path, run: Run) -> None:
    everything = "SELECT * FROM pairs ORDER BY ALL"
    turned = mixed(folder, dict(reversed(PARTS.items())), number=1)
    assert rows_of(turned, everything) == rows_of(run, everything)
    finished_run(folder, "20260103-code", [*words(44, "code"), *SHARED], name="code", kept={"level": 3})
    larger = mixed(folder, {**PARTS, "code": {"run": "20260103", "share": 0.4}}, number=2)
    ids = "SELECT chosen_id FROM pairs WHERE part = '{}'"
    for part in ("code", "math"):
        before, after = (set(rows_of(one, ids.format(part))) for one in (run, larger))
        assert len(after) >= len(before)
    assert set(rows_of(run, ids.format("math"))) <= set(rows_of(larger, ids.format("math")))
    other = mixed(folder, PARTS, number=3, source={"seed": 1})
    assert rows_of(other, everything) != rows_of(run, everything)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("Topic", r"parts\.math: the column 'topic' is called 'Topic' in the part case"),
        ("Part", r"parts\.case: the run case-Part keeps a column 'Part'"),
    ],
)
def test_columns_that_differ_by_case_alone_are_refused(folder: Path, column: str, message: str) -> None:
    finished_run(folder, f"case-{column}", words(2, "case"), name="case", kept={column: "x"})
    with pytest.raises(MixError, match=message):
        mixed(folder, {"case": {"run": f"case-{column}"}, "math": {"run": "20260102"}}, number=len(column) + 80)


def test_a_limit_takes_a_few_pairs_of_each_part(folder: Path) -> None:
    few = mixed(folder, PARTS, number=4, limit=10)
    assert rows_of(few, "SELECT part, count(*) FROM pairs GROUP BY ALL ORDER BY 1") == [("code", 4), ("math", 6)]


def test_duplicates_stay_in_the_part_with_the_higher_priority(folder: Path) -> None:
    for number, (first, other) in enumerate((("code", "math"), ("math", "code")), 5):
        parts = {name: {"recipe": name} for name in ("code", "math")}
        parts[first] = {**parts[first], "priority": 1}  # type: ignore[dict-item]
        made = mixed(folder, parts, number=number)
        shared = rows_of(made, "SELECT DISTINCT part FROM prompts WHERE contains(instruction, 'shared')")
        assert shared == [(first,)], other


@pytest.mark.parametrize("alters", [{}, {"system": "drop"}, {"prompt": "as_sent"}])
def test_no_prompt_stands_on_both_sides_and_the_card_names_the_parts(run: Run, tmp_path: Path, alters: Any) -> None:
    settings = {"split": {"test": 0.3}, "formats": ["trl", "all_responses"], **alters}
    if alters.get("prompt"):  # all requests of the example are equal, so all prompts belong together
        settings["split"] = None
    with open_tables(run) as connection:
        publish(PublishConfig.model_validate(settings), run, connection, tmp_path / "out")
    sides = [
        {
            json.loads(line)["prompt"][0]["content"].rstrip("?!")
            for line in file.read_text(encoding="utf-8").splitlines()
        }
        for file in sorted((tmp_path / "out").glob("t*.jsonl"))
    ]
    assert not set.intersection(*sides) or len(sides) == 1
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    query = "SELECT pairs_left, pairs, pairs / sum(pairs) OVER () FROM mix_parts ORDER BY part LIMIT 1"
    [(left, code, share)] = rows_of(run, query)
    assert f"| code | 20260101-code | code | 50 | {left} | {code} | {share:.1%} | 0.4 |" in card
    assert "| math | critic (judge) | critic | unknown |" in card
    assert "| respond | math/large | large |" in card
    line = (tmp_path / "out" / "all_responses" / "train.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert 5.0 in json.loads(line)["ratings"]


def test_a_part_whose_gates_failed_fails_the_gate_of_the_mix(folder: Path, tmp_path: Path) -> None:
    failed = {"stage": "respond", "scope": "whole", "expectation": "x", "severity": "critical", "success": False}
    passed_since = [{**failed, "scope": "scout", "expectation": "y"}, {**failed, "expectation": "y", "success": True}]
    finished_run(tmp_path, "bad", words(3, "bad"), gates=[failed, *passed_since])
    finished_run(tmp_path, "good", words(3, "good"), gates=passed_since)
    made = mixed(tmp_path, {"bad": {"run": "bad"}, "good": {"run": "good"}})
    assert rows_of(made, "SELECT part, failed_gates FROM mix_parts") == [("bad", 1), ("good", 0)]
    with open_tables(made) as connection:
        [outcome] = judge_stage(connection, "mix", "whole", default_expectations())
    assert (outcome.success, outcome.severity, outcome.observed) == (False, "critical", "1 of 2")


def test_a_mix_of_mixes_names_all_models_and_keeps_the_parts_apart(folder: Path, run: Run) -> None:
    outer = mixed(folder, {"inner": {"run": run.id}, "more": {"run": "20260101"}}, number=9, publish={})
    models = {name for (name,) in rows_of(outer, "SELECT DISTINCT model FROM responses WHERE part = 'inner'")}
    assert "inner/code/large" in models
    assert {run for (run,) in rows_of(outer, "SELECT DISTINCT part_run FROM prompts")} == {run.id, "20260101-code"}
    with open_tables(outer) as tables:
        combine = combine_ratings_for(tables, outer.recipe())
        rated = combine(rows_as_mappings(tables, "responses"), rows_as_mappings(tables, "ratings"))
    candidates = [one for some in rated.values() for one in some]
    assert all(one.rating is not None for one in candidates)
    assert {one.model for one in candidates} >= models


def test_the_calls_behind_turns_come_along(folder: Path) -> None:
    grown = finished_run(folder, "grown", words(2, "grown"))
    [(prompt,)] = rows_of(grown, "SELECT min(prompt_id) FROM prompts")
    turn = {"prompt_id": prompt, "seed_id": prompt, "turn": 1, "role": "user", "content": "And?", "call_id": "turn 1"}
    call = {"call_id": "turn 1", "stage": "converse", "model": "large"}
    store = grown.workspace.shards
    shards = {"turns": store.write(table("turns", [turn])), "calls": store.write(table("calls", [call]))}
    grown.add(Handle(stage="converse", run=grown.id, shards=shards, account=Account()), reused=False)
    grown.database.unlink()
    build_database(grown)
    made = mixed(folder, {"only": {"run": "grown"}}, number=11)
    assert rows_of(made, "SELECT call_id FROM turns") == [("turn 1",)]
    assert rows_of(made, "SELECT model FROM calls WHERE call_id = 'turn 1'") == [("only/large",)]


def rows_as_mappings(tables: DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    return tables.sql(f"SELECT * FROM {name}").to_arrow_table().to_pylist()
