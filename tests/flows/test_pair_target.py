"""A target of pairs: prompts are taken until so many pairs stand, and a higher target only adds pairs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.flows.preference import make_pairs, make_prompts
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import check_recipe
from kasasagi.flows.run.active import ActiveRun
from kasasagi.flows.run.options import Options
from kasasagi.flows.run.planner import Planner
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.format_dpo.target import (
    SMALLEST_BLOCK,
    PairsMade,
    block_end,
    blocks_between,
    pairs_kept,
    whole_blocks,
)
from kasasagi.tasks.format_dpo.task import format_dpo
from kasasagi.tasks.plans.counting import StagePlan
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.tables.run_tables import open_tables
from tests.tasks.helpers import asked, session

DATASET: dict[str, Any] = {"kind": "dataset", "path": "prompts.jsonl"}
MAGPIE: dict[str, Any] = {"kind": "magpie", "model": "large", "template": "<user>"}
Pairs = list[tuple[str, str, str]]


def recipe(target: int | None, source: dict[str, Any], **more: Any) -> Recipe:
    url = "http://127.0.0.1:1/v1"
    pairs = {"strategy": "strong_vs_weak", "strong": ["large"], "weak": ["small"]}
    data: dict[str, Any] = {
        "name": "pairs",
        "source": source,
        "models": {name: {"kind": "openai", "model": name, "base_url": url} for name in ("small", "large")},
        "respond": {"models": ["small", "large"]},
        "gates": {"on_fail": "warn"},
        **more,
        "pairs": pairs | ({} if target is None else {"target": target}) | more.get("pairs", {}),
    }
    return check_recipe(data, Path())


def says(question: Question) -> Completion:
    """Instructions of a draw; and answers, which are equal for every third prompt, so that it gives no pair."""
    messages = question.request.get("messages")
    if messages is None:
        return Completion(f"What is the name of number {int(question.key[:8], 16)}?", finish_reason="stop")
    text = messages[-1]["content"]
    label = "both" if sum(map(ord, text)) % 3 == 0 else question.label
    return Completion(f"An answer about {text!r} by {label}.", finish_reason="stop")


class Trial:
    """Runs of a recipe in one workspace, beside a file of prompts."""

    def __init__(self, folder: Path, prompts: int = 300) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        rows = [json.dumps({"instruction": f"What is the number {number} good for?"}) for number in range(prompts)]
        (folder / "prompts.jsonl").write_text("\n".join(rows))
        self.logged: list[str] = []
        self.paid = self.plans = 0
        self.prompts: list[str] = []

    def run(self, name: str, made: Recipe, limit: int | None = None) -> Pairs:
        """The pairs of a run; how many calls it made, its prompts and why some gave no pair are kept."""
        one = session(self.folder, answer=says, run_id=name)
        context = Context(one, made, self.folder, limit)
        active = ActiveRun(context, Options(Workspace(self.folder), log=self.logged.append))

        @flow
        async def pairing() -> None:
            with activate(context):
                await make_pairs(active, await make_prompts(active))

        asyncio.run(pairing())
        self.paid = len(asked(one))
        with open_tables(one.run) as tables:
            prompts = tables.execute("SELECT prompt_id FROM prompts ORDER BY position").fetchall()
            self.prompts = [name for (name,) in prompts]
            reasons = "SELECT reason, count(*) FROM quarantine WHERE stage = 'format_dpo' GROUP BY 1"
            self.reasons = dict(tables.execute(reasons).fetchall())
            lost = "SELECT stage FROM stages WHERE rows_in <> rows_out + quarantined"
            assert tables.execute(lost).fetchall() == []
            return tables.execute("SELECT prompt_id, chosen_id, rejected_id FROM pairs ORDER BY ALL").fetchall()

    def plan(self, made: Recipe, limit: int | None = None) -> dict[str, StagePlan]:
        self.plans += 1
        one = session(self.folder, answer=says, run_id=f"plan{self.plans}")
        planner = Planner(Context(one, made, self.folder, limit))

        async def planned() -> None:
            await make_pairs(planner, await make_prompts(planner))

        asyncio.run(planned())
        return {plan.stage: plan for plan in planner.plans()}


def places(trial: Trial, pairs: Pairs) -> list[int]:
    """The places of the prompts of some pairs among all prompts of the last run."""
    return sorted(trial.prompts.index(prompt) for prompt, _, _ in pairs)


@given(st.integers(1, 200_000))
def test_a_block_begins_where_the_one_before_it_ends(prompts: int) -> None:
    found = blocks_between(range(prompts))
    assert list(found) == list(range(len(found)))
    assert [place for block in found.values() for place in (block.start, block.stop)][1:-1] == [
        place for block in list(found.values())[1:] for place in (block.start, block.start)
    ]
    assert (found[0].start, list(found.values())[-1].stop) == (0, prompts)
    assert whole_blocks(prompts) <= prompts <= block_end(prompts)
    assert block_end(whole_blocks(prompts) + 1) > prompts
    assert all(len(block) >= SMALLEST_BLOCK for block in list(found.values())[:-1])
    later = blocks_between(range(whole_blocks(prompts), block_end(prompts)))
    assert found | later == blocks_between(range(block_end(prompts)))


@given(st.lists(st.integers(0, 90)), st.integers(1, 500), st.integers(0, 500))
def test_a_higher_target_keeps_what_a_lower_one_keeps(made: list[int], target: int, more: int) -> None:
    def kept(of: int) -> list[int]:
        return [count if most is None else most for count, most in zip(made, pairs_kept(of, made), strict=True)]

    few, many = kept(target), kept(target + more)
    assert sum(few) == min(target, sum(made))
    assert all(one <= other <= count for one, other, count in zip(few, many, made, strict=True))
    first_cut = next((at for at, (one, count) in enumerate(zip(few, made, strict=True)) if one < count), len(made))
    assert not any(few[first_cut + 1 :])


@pytest.mark.usefixtures("prefect_server")
def test_the_earliest_prompts_of_a_dataset_give_so_many_pairs_and_the_rest_is_not_asked(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    few = trial.run("few", recipe(60, DATASET))
    assert len(few) == 60
    assert trial.paid < 2 * 200
    assert trial.reasons["surplus"] > 0
    paid = trial.paid
    more = trial.run("more", recipe(100, DATASET))
    assert len(more) == 100
    assert set(few) < set(more)
    assert max(places(trial, few)) < min(places(trial, [pair for pair in more if pair not in few]))
    fresh = Trial(tmp_path / "fresh")
    assert fresh.run("fresh", recipe(100, DATASET)) == more
    assert fresh.paid == paid + trial.paid
    again = trial.run("again", recipe(100, DATASET))
    assert (again, trial.paid) == (more, 0)
    assert [pair for pair in trial.run("all", recipe(None, DATASET)) if pair in more] == more


@pytest.mark.usefixtures("prefect_server")
def test_a_model_invents_further_prompts_until_so_many_pairs_stand(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    few = trial.run("few", recipe(30, MAGPIE))
    assert len(few) == 30
    paid = trial.paid
    more = trial.run("more", recipe(300, MAGPIE))
    assert len(more) == 300
    assert set(few) < set(more)
    assert max(places(trial, few)) < min(places(trial, [pair for pair in more if pair not in few]))
    fresh = Trial(tmp_path / "fresh")
    assert fresh.run("fresh", recipe(300, MAGPIE)) == more
    assert fresh.paid <= paid + trial.paid
    assert trial.run("again", recipe(300, MAGPIE)) == more
    assert trial.paid == 0


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("source", "limit"), [(DATASET, None), (DATASET, 50), ({**MAGPIE, "target": 80}, None), (MAGPIE, 50)]
)
def test_a_source_that_is_used_up_is_said_in_a_sentence(
    tmp_path: Path, source: dict[str, Any], limit: int | None
) -> None:
    trial = Trial(tmp_path, prompts=80)
    pairs = trial.run("one", recipe(500, source), limit)
    used = limit or 80
    assert len(trial.prompts) == used
    assert trial.logged[-1] == f"only {len(pairs)} of 500 pairs were made: all {used} prompts of the source are used"
    assert "surplus" not in trial.reasons


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("source", [DATASET, MAGPIE])
def test_a_plan_counts_an_upper_estimate_and_nothing_once_the_pairs_stand(
    tmp_path: Path, source: dict[str, Any]
) -> None:
    trial = Trial(tmp_path, prompts=1000)
    before = trial.plan(recipe(60, source))
    assert before["respond"].at_most
    assert before["respond"].calls == 2 * block_end(4 * 60)
    trial.run("one", recipe(60, source))
    paid = trial.paid
    after = trial.plan(recipe(60, source))
    assert sum(plan.to_pay for plan in after.values()) == 0
    assert sum(plan.calls for plan in after.values()) == paid
    assert not after["respond"].at_most
    more = trial.plan(recipe(200, source))
    trial.run("two", recipe(200, source))
    assert sum(plan.known for plan in more.values()) > 0
    assert trial.paid <= sum(plan.to_pay for plan in more.values()) < 2 * trial.paid


@pytest.mark.parametrize(
    ("source", "more", "begins"),
    [
        ({"samples": 300}, {}, "source.samples: pairs.target counts prompts and not draws; write "),
        ({}, {"rewrite": {"model": "small", "methods": ["paraphrase"]}}, "rewrite: rewrites follow all prompts, and "),
        (
            {},
            {"tags": {"model": "small"}, "select": {"limit": 900, "order_by": ["quality desc"]}},
            "select.order_by: with pairs.target later prompts would take the places of earlier ones; leave it out",
        ),
        (
            {},
            {"semantic": {"model": "small"}, "filter": {"where": {"apart": "neighbor_distance > 0.1"}}},
            "filter.where.apart: with pairs.target the nearest prompt of each changes while more are invented; use ",
        ),
    ],
)
def test_what_would_change_earlier_pairs_is_an_error_where_a_model_invents_the_prompts(
    source: dict[str, Any], more: dict[str, Any], begins: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(30, {**MAGPIE, **source}, **more)
    assert any(line.startswith(begins) for line in str(caught.value).splitlines())
    assert recipe(None, {**MAGPIE, "target": 30}, **more)
    assert recipe(30, DATASET, **more)


def test_a_model_invents_at_most_twenty_prompts_for_each_pair_unless_the_source_says_how_many() -> None:
    assert [vars(recipe(30, {**MAGPIE, **source}).source)["target"] for source in ({}, {"target": 99})] == [600, 99]
    again = recipe(30, MAGPIE)
    assert check_recipe(again.plain(), Path()) == again
    with pytest.raises(RecipeError, match="name a target"):
        recipe(None, MAGPIE)


def test_a_target_changes_no_key_of_the_pairs_that_are_whole(tmp_path: Path) -> None:
    one = session(tmp_path)
    contexts = [Context(one, recipe(target, DATASET), tmp_path) for target in (None, 30, 400)]
    keys = {format_dpo.job(context, 0, {}).cache_key for context in contexts}
    assert len(keys) == 1
    assert format_dpo.job(contexts[1], 0, {}, most=3).cache_key not in keys


@pytest.mark.parametrize(("pairs", "most"), [(0, 320), (9, 320), (10, 3_000)])
def test_a_yield_of_few_pairs_makes_no_large_wave(pairs: int, most: int) -> None:
    shard = Shard(digest="", rows=pairs)
    made = PairsMade([Handle(stage="format_dpo", run="r", shards={"pairs": shard}, account=Account(rows_in=64))])
    assert made.prompts_wanted(300, 0) == 64
    assert 64 < made.prompts_wanted(300, 64) <= most


@pytest.mark.usefixtures("prefect_server")
def test_prompts_that_a_condition_leaves_out_are_followed_by_others(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    plain = trial.run("plain", recipe(None, DATASET))
    few = trial.run("few", recipe(60, DATASET, pairs={"where": {"unlucky": "instruction NOT LIKE '%3%'"}}))
    assert len(few) == 60
    assert trial.reasons["unlucky"] > 10
    lucky = [place for place in places(trial, plain) if "3" not in str(place)]
    assert places(trial, few) == lucky[:60]
