"""Gates on many rows: in pieces, and not at all where the same rows were judged before."""

from functools import partial
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.gate.config import GatesConfig
from kasasagi.tasks.gate.evaluation import evaluate
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage, judge_together
from kasasagi.tasks.gate.evaluation.frames import stage_frames, stage_rows
from kasasagi.tasks.gate.evaluation.known_outcomes import KnownOutcomes
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.outcome import Outcome
from tests.tasks.test_gate import refused, responses, run, tables

__all__ = ["run"]
EVERY = GatesConfig().all()


def large(run: Run, count: int = 450, bad: int = 20) -> duckdb.DuckDBPyConnection:
    """A respond stage of many rows, some refused, two responses with one id."""
    rows = responses(count - bad)
    rows[-1] = {**rows[-1], "response_id": "r0"}
    return tables(run, responses=rows, quarantine=refused(bad))


def verdicts(outcomes: dict[str, Outcome]) -> dict[str, tuple[bool, str, str]]:
    return {name: (one.success, one.observed, one.severity) for name, one in outcomes.items()}


@pytest.mark.parametrize("rows_at_once", [100, 449, 450])
def test_a_large_table_is_judged_in_pieces_with_the_same_outcomes(
    run: Run, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect = [
        {"stage": "respond", "expectation": "ExpectColumnValuesToNotBeNull", "column": "finish_reason", "mostly": 0.1},
        {"stage": "respond", "expectation": "ExpectColumnMeanToBeBetween", "column": "characters", "max_value": 5},
        {"stage": "respond", "expectation": "ExpectColumnValuesToBeInSet", "column": "nowhere", "value_set": [1]},
    ]
    every = GatesConfig.model_validate({"expect": expect}).all()
    with large(run) as connection:
        whole = {o.expectation: o for o in judge_stage(connection, "respond", "whole", every)}
        monkeypatch.setattr(evaluate, "ROWS_AT_ONCE", rows_at_once)
        pieces = {o.expectation: o for o in judge_stage(connection, "respond", "whole", every)}
    assert verdicts(pieces) == verdicts(whole)
    assert not pieces["ExpectColumnValuesToBeUnique(response_id)"].success
    assert "could not evaluate" in pieces["ExpectColumnValuesToBeInSet(nowhere)"].detail
    assert pieces["ExpectColumnValuesToBeInSet(refused)"].observed == "4.4% of 450"


@pytest.mark.parametrize(("bad", "passes"), [(39, True), (41, False)])
def test_a_share_is_of_the_whole_and_not_of_the_worst_piece(
    run: Run, bad: int, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "ROWS_AT_ONCE", 100)
    with large(run, count=400, bad=bad) as connection:
        outcomes = {o.expectation: o for o in judge_stage(connection, "respond", "whole", GatesConfig().all())}
    assert outcomes["ExpectColumnValuesToBeInSet(refused)"].success is passes


def test_frames_come_in_pieces_that_hold_every_row_once(run: Run) -> None:
    with large(run, count=95, bad=5) as connection:
        assert stage_rows(connection, "respond") == 95
        pieces = list(stage_frames(connection, "respond", {"response_id", "refused"}, 10))
    assert max(len(piece) for piece in pieces) <= 10
    assert pd.concat(pieces)["refused"].sum() == 5
    assert sum(len(piece) for piece in pieces) == 95


def never(*_: object) -> None:
    raise AssertionError("Great Expectations is asked")


def test_rows_that_were_judged_before_are_not_judged_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = KnownOutcomes(tmp_path / "known")
    with large(run) as connection:
        first = judge_stage(
            connection, "respond", "whole", EVERY, judge=known.over(connection, partial(judge_together, connection))
        )
        monkeypatch.setattr(evaluate, "_validate", never)
        assert (
            judge_stage(
                connection, "respond", "whole", EVERY, judge=known.over(connection, partial(judge_together, connection))
            )
            == first
        )
        assert not all(one.success for one in first)


@pytest.mark.parametrize("change", ["a row more", "another value", "a duplicate in place of a row", "a bound", "scope"])
def test_whatever_changes_is_judged(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    known, rows, scope, every = KnownOutcomes(tmp_path / "known"), responses(40), "whole", EVERY
    with tables(run, responses=rows) as connection:
        judge_stage(
            connection, "respond", "whole", EVERY, judge=known.over(connection, partial(judge_together, connection))
        )
    if change == "a row more":
        rows = responses(41)
    elif change == "another value":
        rows[7] = {**rows[7], "response_id": "another"}
    elif change == "a duplicate in place of a row":
        rows[7] = rows[8]
    elif change == "a bound":
        every = tuple(bounded(one) for one in EVERY)
    else:
        scope = "scout"
    asked = list[str]()
    judged = evaluate._validate
    monkeypatch.setattr(
        evaluate, "_validate", lambda frame, one, *more: asked.append(one.name) or judged(frame, one, *more)
    )
    other = Run.begin(run.workspace, "other", "job", {})
    with tables(other, responses=rows) as connection:
        found = judge_stage(
            connection, "respond", scope, every, judge=known.over(connection, partial(judge_together, connection))
        )  # type: ignore[arg-type]
        assert asked
        assert found == judge_stage(connection, "respond", scope, every)  # type: ignore[arg-type]


def bounded(one: Expectation) -> Expectation:
    return Expectation.model_validate({**one.model_dump(), "mostly": 0.5}) if "mostly" in one.arguments else one


def test_the_order_of_rows_does_not_matter(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known, rows = KnownOutcomes(tmp_path / "known"), responses(40)
    with tables(run, responses=rows) as connection:
        first = judge_stage(
            connection, "respond", "whole", EVERY, judge=known.over(connection, partial(judge_together, connection))
        )
    monkeypatch.setattr(evaluate, "_validate", never)
    other = Run.begin(run.workspace, "other", "job", {})
    with tables(other, responses=rows[::-1]) as connection:
        assert (
            judge_stage(
                connection, "respond", "whole", EVERY, judge=known.over(connection, partial(judge_together, connection))
            )
            == first
        )


def test_damaged_outcomes_are_worked_out_again(run: Run, tmp_path: Path) -> None:
    known = KnownOutcomes(tmp_path / "known")
    with large(run) as connection:
        first = judge_stage(
            connection, "respond", "whole", EVERY, judge=known.over(connection, partial(judge_together, connection))
        )
        for file in (tmp_path / "known").iterdir():
            file.write_bytes(file.read_bytes()[:-20])
        assert (
            judge_stage(
                connection, "respond", "whole", EVERY, judge=known.over(connection, partial(judge_together, connection))
            )
            == first
        )


def test_what_could_not_be_evaluated_is_tried_again(run: Run, tmp_path: Path) -> None:
    known = KnownOutcomes(tmp_path / "known")
    lost = {"stage": "respond", "expectation": "ExpectColumnValuesToBeInSet", "column": "nowhere", "value_set": [1]}
    every = GatesConfig.model_validate({"expect": [lost]}).all()
    with large(run) as connection:
        judge_stage(
            connection, "respond", "whole", every, judge=known.over(connection, partial(judge_together, connection))
        )
    assert not list(tmp_path.glob("known/*"))
