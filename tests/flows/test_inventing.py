"""Inventing: more draws only add, and a run that yields too little stops with the rule that rejects."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.preference import choose
from kasasagi.flows.recipe.loading import check_recipe
from kasasagi.flows.reporting.artifacts import yield_table
from kasasagi.flows.run.active import ActiveRun
from kasasagi.flows.run.options import Options
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.gate.outcome import GateFailedError
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.synthesize.task import synthesize
from kasasagi.tasks.tables.run_tables import open_tables
from tests.tasks.helpers import session

pytestmark = pytest.mark.usefixtures("prefect_server")
Answer = Callable[[Question], Completion]


def recipe(
    on_fail: str = "stop", rules: list[Any] | None = None, more: dict[str, Any] | None = None, **source: Any
) -> Recipe:
    data: dict[str, Any] = {
        "name": "inventing",
        "source": {"kind": "magpie", "model": "small", "template": "<user>", **source},
        "models": {"small": {"kind": "openai", "model": "small", "base_url": "http://127.0.0.1:1/v1"}},
        "filter": {"rules": rules or []},
        "respond": {"models": ["small"], "samples": 2},
        "judge": {"model": "small"},
        "gates": {"on_fail": on_fail},
        **(more or {}),
    }
    return check_recipe(data, Path())


def invents(question: Question) -> Completion:
    """One text in four is a doublet of another draw's, and one in five does not end."""
    number = int(question.key[:8], 16)
    text = f"What is the name of number {number % 97 if number % 4 == 0 else number}?"
    return Completion(text, finish_reason="length" if number % 5 == 0 else "stop")


class Trial:
    """One run's inventions in a workspace of its own."""

    def __init__(self, folder: Path, run: str, answer: Answer = invents, limit: int | None = None, **fields: Any):
        self.logged: list[str] = []
        self.recipe = recipe(**fields)
        self.session = session(folder, answer=answer, run_id=run)
        self.context = Context(self.session, self.recipe, folder, limit)
        self.options = Options(Workspace(folder), log=self.logged.append)

    def invent(self) -> list[dict[str, Any]]:
        run = ActiveRun(self.context, self.options)

        @flow
        async def inventing() -> Any:
            with activate(self.context):
                return await run.until_target(synthesize, partial(choose, run))

        shard = asyncio.run(inventing()).shard
        return list(self.session.run.workspace.shards.read(shard).to_pylist())


def test_a_server_that_answers_no_draw_stops_the_run_at_its_first_chunk(tmp_path: Path) -> None:
    asked: list[str] = []

    def fails(question: Question) -> Completion:
        asked.append(question.key)
        return Completion(error="server_error", detail="500: broken", transient=True)

    trial = Trial(tmp_path, "broken", answer=fails, target=40)
    with pytest.raises(GateFailedError, match=r"draws without an answer: 100\.0% of .*; most often server_error"):
        trial.invent()
    assert len(asked) <= 100


def test_a_higher_target_only_adds_and_the_earlier_draw_wins(tmp_path: Path) -> None:
    few = Trial(tmp_path, "few", target=40).invent()
    more = Trial(tmp_path, "more", target=300).invent()
    assert [len(few), len(more)] == [40, 300]
    assert more[:40] == few
    positions = [row["position"] for row in more]
    assert positions == sorted(set(positions))
    assert len({row["prompt_id"] for row in more}) == 300
    assert Trial(tmp_path, "again", target=300).invent() == more


def test_every_draw_is_accepted_or_set_aside_once_also_beyond_the_target(tmp_path: Path) -> None:
    def mostly_whole(question: Question) -> Completion:
        whole = int(question.key[:8], 16) % 10
        return Completion(f"What is the name of {question.key}?", finish_reason="stop" if whole else "length")

    trial = Trial(tmp_path, "one", mostly_whole, target=200)
    accepted = [row["position"] for row in trial.invent()]
    with open_tables(trial.session.run) as connection:
        aside = connection.execute(
            "SELECT reason, CAST(json_extract(payload, '$.position') AS INT) FROM quarantine WHERE stage = 'filter'"
        ).fetchall()
        draws = connection.execute("SELECT draw FROM draws").fetchall()
    assert {reason for reason, _ in aside} == {"finished", "surplus"}
    assert min(position for reason, position in aside if reason == "surplus") > max(accepted)
    assert sorted([*accepted, *(position for _, position in aside)]) == sorted(draw for (draw,) in draws)


def test_a_limit_takes_no_more_than_it_says(tmp_path: Path) -> None:
    assert len(Trial(tmp_path, "all", limit=7, target=40).invent()) == 7


def test_the_yield_is_said_and_shown_by_chunk(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "one", samples=300)
    accepted = len(trial.invent())
    assert trial.logged[-1].startswith(f"synthesize: 300 draws, {accepted} accepted (")
    assert "finished " in trial.logged[-1]
    table = yield_table(trial.session.run)
    assert table is not None
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert [row[:2] for row in cells] == [["0", "256"], ["1", "44"]]
    assert sum(int(row[2]) for row in cells) == accepted
    assert "finished" in cells[0][4]
    assert "duplicate" in cells[0][4]


def test_a_yield_clearly_below_its_floor_stops_before_all_is_paid_for(tmp_path: Path) -> None:
    asked: list[str] = []

    def counted(question: Question) -> Completion:
        asked.append(question.key)
        return invents(question)

    trial = Trial(tmp_path, "one", counted, target=20_000, min_yield=0.4, rules=[{"min_chars": 100}])
    with pytest.raises(GateFailedError, match=r"min_yield: .* \(at least 40.0% \(min_chars rejects") as error:
        trial.invent()
    assert "\n" not in str(error.value)
    assert len(asked) < 20_000 / 0.8 / 2, "less than half of what would have been drawn"
    with open_tables(trial.session.run) as connection:
        gates = connection.execute("SELECT stage, scope, expectation, success FROM gates").fetchall()
    assert gates == [("synthesize", "scout", "min_yield", False)]


def poor(question: Question) -> Completion:
    """Nine in ten of the texts are tagged as poor."""
    if "messages" not in question.request:
        return Completion(f"What is the name of number {question.key}?", finish_reason="stop")
    quality = "good" if int(question.key[:8], 16) % 10 == 0 else "poor"
    return Completion(f"quality: {quality}", finish_reason="stop")


TAGGED: dict[str, Any] = {
    "tags": {"model": "small", "kinds": ["quality"]},
    "filter": {"where": {"too_poor": "quality <> 'poor'"}},
}


def test_conditions_on_tags_count_against_the_floor_before_all_are_paid_for(tmp_path: Path) -> None:
    labelled: list[str] = []

    def counted(question: Question) -> Completion:
        labelled.extend([question.key] if "messages" in question.request else [])
        return poor(question)

    trial = Trial(tmp_path, "one", counted, target=4_000, min_yield=0.4, more=TAGGED)
    with pytest.raises(GateFailedError, match=r"min_yield: .* \(at least 40.0% \(too_poor rejects"):
        trial.invent()
    assert 0 < len(labelled) < 2_500, "less than half of what was drawn"


def test_what_tags_leave_is_the_yield_and_a_low_floor_lets_it_pass(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "one", poor, samples=300, min_yield=0.01, more=TAGGED)
    accepted = len(trial.invent())
    assert 0 < accepted < 100
    assert trial.logged[-1].startswith(f"synthesize: 300 draws, {accepted} accepted (")
    assert f"too_poor {300 - accepted}" in trial.logged[-1]


def test_what_is_beyond_a_quota_does_not_count_against_the_floor(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"samples": 300, "min_yield": 0.5, "more": {"select": {"limit": 7}}}
    trial = Trial(tmp_path, "one", **fields)
    assert len(trial.invent()) == 7
    assert "7 accepted" in trial.logged[-1]
    assert "quota " in trial.logged[-1]


def test_a_yield_below_its_floor_in_the_end_stops_the_run(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "one", samples=20, min_yield=0.9)
    with pytest.raises(GateFailedError, match="of 20 draws"):
        trial.invent()


def test_a_recipe_that_only_warns_goes_on_and_says_it_once(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "one", on_fail="warn", samples=600, min_yield=0.95)
    assert trial.invent()
    assert sum("min_yield" in line for line in trial.logged) == 1


def test_a_target_that_is_reached_is_enough_for_any_floor(tmp_path: Path) -> None:
    every = Trial(tmp_path, "one", lambda q: Completion(f"Who is {q.key}?", finish_reason="stop"), target=9)
    assert len(every.invent()) == 9
    assert not any("gate" in line for line in every.logged)
