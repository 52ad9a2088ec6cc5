"""Gates: the defaults on a real run's tables, changes by a recipe, and what cannot be evaluated."""

import logging
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.asking import quarantine_row
from kasasagi.tasks.gate.config import GatesConfig
from kasasagi.tasks.gate.evaluation.evaluate import _batch_definition as batch_definition
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage
from kasasagi.tasks.gate.evaluation.frames import stage_frame
from kasasagi.tasks.gate.explain.reasons import cause_of, commonest_reason
from kasasagi.tasks.gate.explain.words import plain_name
from kasasagi.tasks.gate.outcome import GateFailedError, Outcome, keep_outcomes, raise_if_failed
from kasasagi.tasks.pipeline import STAGES, default_expectations
from kasasagi.tasks.tables import TABLES, table
from kasasagi.tasks.tables.run_tables import tables_of

KEPT = [("topic", pa.string()), ("tags", pa.list_(pa.string())), ("score", pa.float64()), ('odd "name"', pa.string())]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    return Run.begin(workspace, "run", "job", {})


def tables(run: Run, **rows: list[dict[str, Any]]) -> duckdb.DuckDBPyConnection:
    """A run's tables that hold those rows; prompts may have kept columns."""
    prompts = PROMPTS
    for name, kind in KEPT:
        prompts = prompts.append(pa.field(name, kind))
    shards = {}
    for name, some in rows.items():
        made = pa.Table.from_pylist(some, prompts) if name in ("prompts", "loaded") else table(name, some)
        shards[name] = run.workspace.shards.write(made)
    run.add(Handle(stage="filter", run=run.id, shards=shards, account=Account()), reused=False)
    return tables_of(run, run.handles())


def responses(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"response_id": f"r{n}", "prompt_id": f"p{n}", "model": "small", "content": "words", **fields}
        for n in range(count)
    ]


def refused(count: int, reason: str = "refusal") -> list[dict[str, Any]]:
    return [
        quarantine_row("respond", f"q{n}", reason, None, {"prompt_id": f"p{n}", "model": "small", "content": "no"})
        for n in range(count)
    ]


def judged(
    connection: duckdb.DuckDBPyConnection, stage: str, scope: Any = "whole", expect: Any = ()
) -> dict[str, Outcome]:
    config = GatesConfig.model_validate({"expect": list(expect)})
    return {outcome.expectation: outcome for outcome in judge_stage(connection, stage, scope, config.all())}


def test_good_rows_pass_all_defaults(run: Run) -> None:
    rows = {"prompts": [{"prompt_id": "p"}], "responses": responses(10)}
    with tables(run, **rows) as connection:
        for stage in ("filter", "respond"):
            outcomes = judged(connection, stage)
            assert outcomes
            assert all(outcome.success for outcome in outcomes.values()), outcomes


@pytest.mark.parametrize(
    ("reason", "column", "most"),
    [("truncated", "truncated", 5), ("refusal", "refused", 10), ("other_language", "language_as_asked", 5)],
)
def test_a_share_at_its_bound_passes_and_one_above_stops(run: Run, reason: str, column: str, most: int) -> None:
    name = f"ExpectColumnValuesToBeInSet({column})"
    with tables(run, responses=responses(100 - most), quarantine=refused(most, reason)) as connection:
        assert judged(connection, "respond")[name].success
    with tables(run, responses=responses(99 - most), quarantine=refused(most + 1, reason)) as connection:
        outcome = judged(connection, "respond")[name]
    assert outcome.stops
    held = 99 - most if column == "language_as_asked" else most + 1
    limit = f"at least {100 - most}.0%" if column == "language_as_asked" else f"at most {most}.0%"
    assert (outcome.observed, outcome.detail) == (f"{held}.0% of 100", limit)
    assert outcome.sentence() == f"respond: {plain_name(name)}: {held}.0% of 100 ({limit})"


@pytest.mark.parametrize(("rows", "stops"), [(2, False), (29, False), (30, True)])
def test_few_rows_that_miss_a_share_only_warn(run: Run, rows: int, stops: bool) -> None:
    name = "ExpectColumnValuesToBeInSet(truncated)"
    with tables(run, quarantine=refused(rows, "truncated")) as connection:
        outcome = judged(connection, "respond")[name]
    assert (outcome.success, outcome.stops) == (False, stops)
    if rows == 2:
        assert (outcome.severity, outcome.sentence()) == ("warning", "respond: answers cut off: 2 of 2 (at most 5.0%)")


@pytest.mark.parametrize(("failed", "stops"), [(0, False), (1, False), (3, True)])
def test_calls_without_an_answer_stop_the_run_and_are_no_fault_of_the_data(run: Run, failed: int, stops: bool) -> None:
    with tables(run, responses=responses(100 - failed), quarantine=refused(failed, "connection")) as connection:
        outcomes = judged(connection, "respond")
    assert outcomes["ExpectColumnValuesToBeInSet(no_answer)"].stops == stops
    assert not [one for name, one in outcomes.items() if one.stops and "no_answer" not in name]


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES if stage.pays])
def test_every_stage_that_asks_models_is_stopped_by_an_outage(run: Run, stage: str) -> None:
    aside = [quarantine_row(stage, f"q{n}", "connection", "refused", {"prompt_id": f"p{n}"}) for n in range(5)]
    with tables(run, quarantine=aside) as connection:
        assert judged(connection, stage)["ExpectColumnValuesToBeInSet(no_answer)"].stops


def test_one_call_of_few_without_an_answer_stops_a_small_run(run: Run) -> None:
    with tables(run, responses=responses(4), quarantine=refused(1, "time_out")) as connection:
        assert judged(connection, "respond")["ExpectColumnValuesToBeInSet(no_answer)"].stops


def test_a_responder_that_answers_nothing_at_all_stops_the_run(run: Run) -> None:
    payload = {"prompt_id": "p", "model": "mute", "content": ""}
    mute = [quarantine_row("respond", f"m{n}", "context_too_long", "too long", payload) for n in range(5)]
    with tables(run, responses=responses(5), quarantine=mute) as connection:
        outcome = judged(connection, "respond")["ExpectColumnValuesToBeInSet(responder_answers)"]
        see = f"kasasagi quarantine {run.id} --stage respond -w {run.workspace.folder}"
        assert commonest_reason(connection, run, [outcome]) == (
            f"'mute' answered none of 5; most often context_too_long (5 rows: too long); see {see}"
        )
    assert outcome.stops
    said_something = [quarantine_row("respond", "m", "truncated", None, {**payload, "content": "cut"})]
    with tables(run, responses=responses(5), quarantine=[*mute, *said_something]) as connection:
        assert judged(connection, "respond")["ExpectColumnValuesToBeInSet(responder_answers)"].success


def test_a_gate_on_other_rows_blames_no_rejected_ones(run: Run) -> None:
    long = {
        "stage": "respond",
        "expectation": "ExpectColumnValueLengthsToBeBetween",
        "column": "content",
        "min_value": 500,
    }
    config = GatesConfig.model_validate({"expect": [long]})
    with tables(run, responses=responses(40), quarantine=refused(5)) as connection:
        outcomes = {one.expectation: one for one in judge_stage(connection, "respond", "whole", config.all())}
        failed = outcomes["ExpectColumnValueLengthsToBeBetween(content)"]
        assert not failed.success
        assert commonest_reason(connection, run, [failed]) is None
        folder = run.workspace.folder
        assert cause_of(connection, run, "respond", failed.expectation).see == f"kasasagi show {run.id} -w {folder}"
        of_verdicts = cause_of(connection, run, "format_dpo", "ExpectColumnValuesToBeInSet(chosen_is_longer)")
        assert of_verdicts.sentence() == f"see kasasagi judge {run.id} -w {folder}"
        assert "most often" in cause_of(connection, run, "respond", "ExpectColumnValuesToBeInSet(refused)").reason


def test_no_rows_at_all_stop_where_rows_are_counted(run: Run) -> None:
    with tables(run) as connection:
        assert judged(connection, "filter")["ExpectTableRowCountToBeBetween"].stops
        assert judged(connection, "filter", "scout") == {}


def test_ids_that_stand_twice_stop_the_run(run: Run) -> None:
    with tables(run, prompts=[{"prompt_id": "p"}, {"prompt_id": "p"}]) as connection:
        assert judged(connection, "filter")["ExpectColumnValuesToBeUnique(prompt_id)"].stops


def ratings(flips: int, holds: int) -> list[dict[str, Any]]:
    rows = []
    for number in range(flips + holds):
        for ordering in ("first", "swapped"):
            turned = number < flips and ordering == "swapped"
            for response, rating in (("a", 2.0 if turned else 4.0), ("b", 4.0 if turned else 2.0)):
                rows.append(
                    {
                        "response_id": f"{response}{number}",
                        "prompt_id": f"p{number}",
                        "aspect": "overall-rating",
                        "ordering": ordering,
                        "rating": rating,
                    }
                )
    return rows


def test_verdicts_that_flip_with_the_order_are_counted(run: Run) -> None:
    name = "ExpectColumnValuesToBeInSet(same_in_both_orders)"
    with tables(run, ratings=ratings(16, 24)) as connection:
        assert judged(connection, "judge")[name].success
    with tables(run, ratings=ratings(20, 20)) as connection:
        outcome = judged(connection, "judge")[name]
        assert outcome.stops
        assert outcome.observed == "50.0% of 40"


def test_one_order_alone_says_nothing_about_flips(run: Run) -> None:
    one_order = [row for row in ratings(5, 0) if row["ordering"] == "first"]
    with tables(run, ratings=one_order) as connection:
        outcome = judged(connection, "judge")["ExpectColumnValuesToBeInSet(same_in_both_orders)"]
    assert outcome.success
    assert outcome.observed == "no rows"


def test_unreadable_replies_count_and_lone_answers_do_not(run: Run) -> None:
    rows = responses(40)
    marks = [{"response_id": row["response_id"], "prompt_id": row["prompt_id"], "rating": 3.0} for row in rows]
    name = "ExpectColumnValuesToBeInSet(unreadable)"
    lone = [quarantine_row("judge", f"l{n}", "nothing_to_compare", None, {"response_id": f"l{n}"}) for n in range(50)]
    bad = [quarantine_row("judge", f"b{n}", "no_rating", None, {"response_id": f"b{n}"}) for n in range(5)]
    with tables(run, responses=rows, ratings=marks, quarantine=lone) as connection:
        assert judged(connection, "judge")[name].success
    with tables(run, responses=rows, ratings=marks, quarantine=[*lone, *bad]) as connection:
        assert judged(connection, "judge")[name].stops


def pairs(count: int, favourite: int, longer: int) -> dict[str, list[dict[str, Any]]]:
    made, answers = [], []
    for number in range(count):
        chosen, rejected = ("small", "large") if number < favourite else ("large", "small")
        answers += [
            {"response_id": f"c{number}", "model": chosen, "content": "xxx" if number < longer else "x"},
            {"response_id": f"r{number}", "model": rejected, "content": "xx"},
        ]
        made.append({"prompt_id": f"p{number}", "chosen_id": f"c{number}", "rejected_id": f"r{number}", "margin": 1.0})
    return {"pairs": made, "responses": answers}


@pytest.mark.parametrize(
    ("favourite", "longer", "failing"),
    [(90, 75, set()), (91, 75, {"chosen_from_favourite"}), (9, 75, {"chosen_from_favourite"}), (50, 76, {"longer"})],
)
def test_a_favourite_model_and_a_taste_for_length_are_noticed(
    run: Run, favourite: int, longer: int, failing: set[str]
) -> None:
    with tables(run, **pairs(100, favourite, longer)) as connection:
        outcomes = judged(connection, "format_dpo")
    failed = {name for name, outcome in outcomes.items() if not outcome.success}
    assert {part for part in ("chosen_from_favourite", "longer") if any(part in name for name in failed)} == failing
    assert len(failed) == len(failing)


def test_too_few_pairs_stop_the_run(run: Run) -> None:
    dropped = [quarantine_row("format_dpo", f"d{n}", "tie", None, {}) for n in range(31)]
    with tables(run, **pairs(10, 5, 5), quarantine=dropped) as connection:
        assert judged(connection, "format_dpo")["ExpectColumnValuesToBeInSet(gives_pair)"].stops
    with tables(run, **pairs(10, 5, 5), quarantine=dropped[:30]) as connection:
        assert judged(connection, "format_dpo")["ExpectColumnValuesToBeInSet(gives_pair)"].success


def test_a_scout_is_held_against_its_bound_less_what_chance_can_do(run: Run) -> None:
    name = "ExpectColumnValuesToBeInSet(refused)"
    with tables(run, responses=responses(82), quarantine=refused(18)) as connection:
        assert judged(connection, "respond", "whole")[name].stops
        assert judged(connection, "respond", "scout")[name].success
    with tables(run, responses=responses(80), quarantine=refused(20)) as connection:
        assert judged(connection, "respond", "scout")[name].stops


def change(**fields: Any) -> dict[str, Any]:
    return {"stage": "respond", "expectation": "ExpectColumnValuesToBeInSet", "column": "refused", **fields}


def test_a_recipe_changes_only_what_it_names(run: Run) -> None:
    name = "ExpectColumnValuesToBeInSet(refused)"
    with tables(run, responses=responses(70), quarantine=refused(30)) as connection:
        assert judged(connection, "respond", expect=[change(mostly=0.7)])[name].success
        softer = judged(connection, "respond", expect=[change(severity="warning")])[name]
    assert (softer.success, softer.severity, softer.stops) == (False, "warning", False)
    config = GatesConfig.model_validate({"expect": [change(mostly=0.7)]})
    assert len(config.all()) == len(default_expectations())
    assert config.expect[0].arguments["value_set"] == [False]
    assert config.expect[0].severity == "critical"


def test_a_scope_that_the_recipe_names_is_the_only_one(run: Run) -> None:
    with tables(run, responses=responses(10)) as connection:
        outcomes = judged(connection, "respond", "scout", [change(scope="whole")])
    assert "ExpectColumnValuesToBeInSet(refused)" not in outcomes


def added(expectation: str, stage: str = "filter", **fields: Any) -> dict[str, Any]:
    return {"stage": stage, "expectation": expectation, **fields}


@pytest.mark.parametrize(
    "expectation",
    [
        added("ExpectColumnValuesToNotBeNull", column="nowhere"),
        added("ExpectColumnValuesToBeInSet", column="topic"),
        added("ExpectColumnValuesToMatchRegex", column="topic", regex="("),
        added("ExpectColumnValuesToBeBetween", column="topic", min_value=1, max_value=2),
        added("ExpectColumnMeanToBeBetween", column="topic", min_value=0),
        added("ExpectColumnValuesToBeUnique", column="topic", nonsense=3),
        added("ExpectColumnValuesToBeUnique", column=["topic"]),
        added("ExpectColumnValuesToBeUnique", column="topic", mostly=7),
    ],
)
def test_what_cannot_be_evaluated_has_failed_critically(run: Run, expectation: dict[str, Any]) -> None:
    prompts = [{"prompt_id": "p", "topic": "birds"}, {"prompt_id": "q", "topic": "bees"}]
    with tables(run, prompts=prompts) as connection:
        outcomes = judged(connection, "filter", expect=[{**expectation, "severity": "info"}])
    [outcome] = [
        one for name, one in outcomes.items() if name not in {default.name for default in default_expectations()}
    ]
    assert (outcome.success, outcome.severity, outcome.stops) == (False, "critical", True)
    assert "could not evaluate" in outcome.detail


def test_nulls_are_passed_over_and_nothing_but_nulls_is_no_rows(run: Run) -> None:
    between = added("ExpectColumnValuesToBeBetween", column="score", min_value=1, max_value=5)
    name = "ExpectColumnValuesToBeBetween(score)"
    prompts = [{"prompt_id": f"p{n}", "score": 3.0 if n == 0 else None} for n in range(10)]
    with tables(run, prompts=prompts) as connection:
        outcome = judged(connection, "filter", expect=[between])[name]
    assert (outcome.success, outcome.observed) == (True, "1 of 1")
    with tables(run, prompts=prompts[1:]) as connection:
        assert judged(connection, "filter", expect=[between])[name].observed == "no rows"


@pytest.mark.parametrize(("second", "unique"), [(["a", "b"], False), (["a", "c"], True), ([], True)])
def test_lists_are_compared_by_what_they_hold(run: Run, second: list[str], unique: bool) -> None:
    prompts = [{"prompt_id": "p", "tags": ["a", "b"]}, {"prompt_id": "q", "tags": second}]
    with tables(run, prompts=prompts) as connection:
        outcomes = judged(connection, "filter", expect=[added("ExpectColumnValuesToBeUnique", column="tags")])
    outcome = outcomes["ExpectColumnValuesToBeUnique(tags)"]
    assert outcome.success is unique, outcome


def test_messages_are_compared_by_what_they_hold(run: Run) -> None:
    messages = [{"role": "user", "content": "a"}]
    prompts = [{"prompt_id": name, "messages": messages} for name in "pq"]
    with tables(run, prompts=prompts) as connection:
        outcomes = judged(connection, "filter", expect=[added("ExpectColumnValuesToBeUnique", column="messages")])
    assert not outcomes["ExpectColumnValuesToBeUnique(messages)"].success


def test_kept_columns_and_texts_can_be_judged_whatever_their_name(run: Run) -> None:
    regex = {"expectation": "ExpectColumnValuesToMatchRegex", "regex": "^w"}
    prompts = [{"prompt_id": "p0", 'odd "name"': "words"}]
    with tables(run, prompts=prompts, responses=responses(1)) as connection:
        found = judged(
            connection,
            "respond",
            expect=[
                {"stage": "respond", "column": "content", **regex},
                {"stage": "respond", "column": 'odd "name"', **regex},
            ],
        )
        assert found["ExpectColumnValuesToMatchRegex(content)"].success
        assert found['ExpectColumnValuesToMatchRegex(odd "name")'].success


def test_a_frame_holds_the_columns_that_are_named_and_no_others(run: Run) -> None:
    with tables(run, prompts=[{"prompt_id": "p", "topic": "x"}]) as connection:
        frame = stage_frame(connection, "filter", {"topic", "characters", "nowhere"})
        assert isinstance(frame, pd.DataFrame)
        assert set(frame.columns) == {"topic", "characters"}
        assert len(stage_frame(connection, "filter", set())) == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (added("ExpectColumnValuesToBeInSte", column="x"), "did you mean 'ExpectColumnValuesToBeInSet'"),
        (added("ExpectNothing"), "is not an expectation; name a Great Expectations class"),
        (added("os.system"), "pattern"),
        (added("ExpectColumnValuesToBeUnique", severity="fatal"), "severity"),
        ("ExpectColumnValuesToBeUnique", "Expectation"),
    ],
)
def test_an_expectation_that_there_is_not_is_refused_at_once(entry: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GatesConfig.model_validate({"expect": [entry]})


def test_outcomes_are_kept_and_only_critical_failures_stop(run: Run) -> None:
    fields = {"stage": "respond", "scope": "whole", "expectation": "x", "observed": "0", "detail": "1"}
    outcomes = [
        Outcome(**fields, severity="warning", success=False),
        Outcome(**fields, severity="critical", success=True),
    ]
    raise_if_failed(outcomes)
    bad = Outcome(**fields, severity="critical", success=False)
    with pytest.raises(GateFailedError, match=r"respond: x: 0 \(1\)") as raised:
        raise_if_failed([*outcomes, bad])
    assert raised.value.outcomes == [bad]
    keep_outcomes(run, "respond", "whole", [*outcomes, bad])
    keep_outcomes(run, "judge", "whole", [])
    [counted] = run.handles()
    rows = run.workspace.shards.read(counted.handle.shards["gates"])
    assert rows.schema.equals(TABLES["gates"].columns)
    assert rows.num_rows == 3


def test_the_library_writes_nothing_of_its_set_up(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        batch_definition.__wrapped__()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("great_expectations")] == []
