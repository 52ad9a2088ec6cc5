"""The plan: what a run will ask, what the ledger has, and what the rest will cost, without asking anything."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kasasagi.blocks.dispatch.budget import Cost
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.kinds import OPENAI_URL
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.blocks.workspace.shards import Shard
from kasasagi.flows.planning import plan_recipe
from kasasagi.flows.preference import make_pairs
from kasasagi.flows.recipe.loading import LoadedRecipe, load_recipe
from kasasagi.flows.run.active import ActiveRun
from kasasagi.flows.run.driver import Chunk, Rows
from kasasagi.flows.run.options import Options
from kasasagi.flows.run.planner import Planner
from kasasagi.tasks.asking import ask
from kasasagi.tasks.context import Context
from kasasagi.tasks.converse.plan import Dialogues
from kasasagi.tasks.converse.task import converse
from kasasagi.tasks.format_dpo.task import format_dpo
from kasasagi.tasks.pipeline import ranks
from kasasagi.tasks.plans.counting import Count, StagePlan
from kasasagi.tasks.respond.answers import questions_for
from kasasagi.tasks.synthesize.task import synthesize
from kasasagi.tasks.tables import table
from kasasagi.tasks.token_counts import TokenizerError
from tests.blocks.helpers import question
from tests.fake_server import FakeServer
from tests.flows.test_chunks import prompts, some
from tests.tasks.helpers import asked, good, model, session
from tests.tasks.test_converse import no_rules, says, seeds, talk
from tests.tasks.test_student import student

RECIPE: dict[str, Any] = {
    "name": "planned",
    "source": {"kind": "dataset", "path": "prompts.jsonl"},
    "models": {
        name: {
            "kind": "openai",
            "model": name,
            "base_url": "http://127.0.0.1:9/v1",
            "usd_per_million_tokens": {"input": 1.0, "output": 1000.0},
        }
        for name in ("small", "large", "critic")
    },
    "respond": {"models": ["small", "large"], "sampling": {"max_tokens": 100}},
    "judge": {"model": "critic"},
}


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedRecipe:
    lines = [json.dumps({"instruction": f"What is the number {number} good for?"}) for number in range(10)]
    (tmp_path / "prompts.jsonl").write_text("\n".join([*lines, lines[0], '{"instruction": ""}']))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return load_recipe(str(tmp_path / "recipe.yaml"))


@pytest.fixture
def nobody() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


def plans(loaded: LoadedRecipe, folder: Path, limit: int | None = None) -> dict[str, StagePlan]:
    return {plan.stage: plan for plan in plan_recipe(loaded, Workspace(folder), limit, frozenset())}


def answers_planned(context: Context, shard: Shard) -> list[StagePlan]:
    """The plans of respond and judge for some prompts."""
    planner = Planner(context)
    asyncio.run(make_pairs(planner, Rows(shard)))
    return planner.plans()


def turns_planned(context: Context, plan: Dialogues, shard: Shard) -> StagePlan:
    """The plan of further turns for some prompts."""
    planner = Planner(context)
    vars(planner.context)["dialogues"] = plan
    asyncio.run(planner.count([converse], [Chunk(inputs={"prompts": shard})]))
    return planner.count_of(converse).plan()


def test_a_plan_counts_what_would_be_asked_and_leaves_no_run_behind(loaded: LoadedRecipe, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    found = plans(loaded, folder)
    respond, judge = found["respond"], found["judge"]
    assert (respond.calls, respond.known, respond.to_pay, respond.at_most) == (20, 0, 20, False)
    assert (judge.calls, judge.at_most) == (20, True)
    assert respond.completion_tokens == 20 * 100
    assert respond.cost_usd == pytest.approx((respond.prompt_tokens + 1000 * 2000) / 1e6)
    assert Workspace(folder).runs() == []
    assert list(Workspace(folder).runs_folder.iterdir()) == []
    assert list(Workspace(folder).shards.folder.rglob("*.parquet")) == []


def test_a_missing_tokenizer_is_said_before_anything_is_asked(loaded: LoadedRecipe, tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    limited = load_recipe(str(loaded.file), ["pairs.max_tokens={tokenizer: student, total: 512}"])
    with pytest.raises(TokenizerError, match=r"the folder 'student' holds no tokenizer.json"):
        plans(limited, tmp_path / "workspace")


def test_another_tokenizer_of_the_same_name_makes_the_pairs_anew(loaded: LoadedRecipe, tmp_path: Path) -> None:
    limited = load_recipe(str(loaded.file), ["pairs.max_tokens={tokenizer: student, total: 512}"])
    keys = []
    for number, template in enumerate(("a", "b", "a")):
        student(tmp_path / "student", chat_template=template)
        one = session(tmp_path / f"workspace{number}")
        keys.append(format_dpo.job(Context(one, limited.recipe, limited.base), 0, {}).cache_key)
    assert keys[0] == keys[2] != keys[1]


def test_another_text_of_a_rule_for_further_turns_makes_the_dialogues_anew(
    loaded: LoadedRecipe, tmp_path: Path
) -> None:
    turns = "{count: 2, model: small, template: chatml, rules: [mine:polite]}"
    talking = load_recipe(str(loaded.file), [f"source.turns={turns}"])
    one = session(tmp_path / "workspace", talking.recipe.models)
    context = Context(one, talking.recipe, talking.base)
    keys = []
    for word in ("please", "kindly", "please"):
        (tmp_path / "mine.py").write_text(f"def polite(row):\n    return {word!r} in row['instruction']\n")
        keys.append(converse.job(context, 0, {"prompts": prompts(one, some(2))}).cache_key)
    assert keys[0] == keys[2] != keys[1]


def test_a_plan_asks_nobody(loaded: LoadedRecipe, tmp_path: Path, nobody: FakeServer) -> None:
    settings = [f"models.{name}.base_url={nobody.base_url}" for name in ("small", "large", "critic")]
    plans(load_recipe(str(loaded.file), settings), tmp_path / "workspace")
    assert nobody.stats()["calls"] == 0
    assert nobody.stats()["by_endpoint"] == {}


def test_a_limit_and_more_samples_are_planned(loaded: LoadedRecipe, tmp_path: Path) -> None:
    assert plans(loaded, tmp_path / "a", limit=3)["respond"].calls == 6
    more = load_recipe(str(loaded.file), ["respond.samples=3", "judge.orders=random", "respond.models.0.samples=1"])
    found = plans(more, tmp_path / "b")
    assert (found["respond"].calls, found["judge"].calls) == (40, 10)


def test_one_answer_a_prompt_is_not_judged(loaded: LoadedRecipe, tmp_path: Path) -> None:
    alone = load_recipe(str(loaded.file), ["respond.models=[small]"])
    assert plans(alone, tmp_path / "a")["judge"].calls == 0


def test_what_the_ledger_has_is_known_and_its_lengths_are_the_estimate(loaded: LoadedRecipe, tmp_path: Path) -> None:
    one = session(tmp_path / "workspace", loaded.recipe.models)
    context = Context(one, loaded.recipe, loaded.base)
    rows = some(4)
    shard = prompts(one, rows)
    known = [each.question for each in questions_for(one, loaded.recipe.respond, rows[:3])]
    ask(one, known, "respond", 0)
    before = len(asked(one))
    respond, judge = answers_planned(context, shard)
    assert (respond.calls, respond.known) == (8, 6)
    assert respond.completion_tokens == 2 * good(known[0]).completion_tokens
    assert (judge.calls, judge.known, judge.at_most) == (3 * 2 + 1 * 2, 0, True)
    ask(one, [each.question for each in questions_for(one, loaded.recipe.respond, rows)], "respond", 0)
    respond, judge = answers_planned(context, shard)
    assert (respond.to_pay, respond.cost_usd) == (0, 0.0)
    assert (judge.calls, judge.at_most) == (8, False)
    assert len(asked(one)) == before + 2


def test_answers_that_would_not_be_judged_are_not_planned(loaded: LoadedRecipe, tmp_path: Path) -> None:
    one = session(tmp_path / "workspace", loaded.recipe.models)
    rows = some(3)
    ledger = Ledger(one.run.workspace.ledger_folder)
    for number, each in enumerate(questions_for(one, loaded.recipe.respond, rows)):
        text = "I'm sorry, but I can't help with that." if number == 0 else good(each.question).text
        ledger.append([LedgerEntry(each.question.key, "m", Completion(text=text, finish_reason="stop"))])
    ledger.close()
    _, judge = answers_planned(Context(one, loaded.recipe, loaded.base), prompts(one, rows))
    assert (judge.calls, judge.at_most) == (4, False)


def test_prompts_that_nobody_knows_yet_are_guessed_as_an_upper_bound(loaded: LoadedRecipe, tmp_path: Path) -> None:
    planner = Planner(Context(session(tmp_path / "w", loaded.recipe.models), loaded.recipe, loaded.base))
    asyncio.run(make_pairs(planner, Rows(unknown=1000)))
    respond, judge = planner.plans()
    assert (respond.calls, judge.calls) == (2000, 2000)
    assert respond.at_most
    assert judge.at_most
    assert judge.prompt_tokens > respond.prompt_tokens


def test_a_plan_is_one_line() -> None:
    plan = StagePlan(stage="judge", calls=2000, known=1940, cost_usd=0.0249)
    assert plan.sentence() == "judge: 2,000 calls, 1,940 in the ledger, 60 to pay for, about $0.02"
    repaired = plan.model_copy(update={"repairs": 60})
    assert repaired.sentence().endswith("; up to 60 more to repair unreadable replies")
    bound = StagePlan(stage="judge", calls=2000, known=0, at_most=True)
    assert bound.sentence() == "judge: up to 2,000 calls, 0 in the ledger, up to 2,000 to pay for"


def test_magpie_is_planned_as_far_as_it_is_foreseen(loaded: LoadedRecipe, tmp_path: Path) -> None:
    source = "{kind: magpie, model: small, template: '<user>', target: 10, sampling: {max_tokens: 50}}"
    magpie = load_recipe(str(loaded.file), [f"source={source}"])
    found = plans(magpie, tmp_path / "workspace")
    assert list(found) == ["synthesize", "respond", "judge"]
    assert found["synthesize"].calls == found["synthesize"].to_pay > 10
    assert (found["respond"].calls, found["respond"].at_most) == (20, True)


def test_further_turns_meet_what_the_filter_says_of_personal_data(loaded: LoadedRecipe, tmp_path: Path) -> None:
    changes = ["source.turns={count: 2, model: small, template: chatml}", "filter.rules=[{personal_data: email}]"]
    changed = load_recipe(str(tmp_path / "recipe.yaml"), changes)
    plan = Context(session(tmp_path / "w", changed.recipe.models), changed.recipe, changed.base).dialogues
    assert plan is not None
    assert [rule for rule in plan.rules if "personal_data" in rule] == [{"personal_data": "email"}]


TURNS = "{count: 3, template: chatml, sampling: {max_tokens: 50}, answers: {model: large, sampling: {max_tokens: 100}}"
GROWN = 2 * (64 + 100)
"""Tokens that stand before the last of three turns, by the guess for a turn and what an answer may have."""


@pytest.mark.parametrize(
    "source",
    [
        f"{{kind: dataset, path: prompts.jsonl, turns: {TURNS}, model: small}}}}",
        f"{{kind: magpie, model: small, template: chatml, target: 10, turns: {TURNS}}}}}",
    ],
)
def test_further_turns_are_planned_with_their_price_and_make_later_calls_dearer(
    loaded: LoadedRecipe, tmp_path: Path, source: str
) -> None:
    found = plans(load_recipe(str(loaded.file), [f"source={source}"]), tmp_path / "workspace")
    turns, respond, judge = found["converse"], found["respond"], found["judge"]
    assert (turns.calls, turns.known, turns.at_most) == (40, 0, True)
    assert turns.completion_tokens == 20 * 100 + 20 * 50
    asked_for_all = 10 * (0 + 100 + (100 + 64) + (100 + 64 + 100))
    assert asked_for_all < turns.prompt_tokens < asked_for_all + 40 * 70
    assert turns.cost_usd == pytest.approx((turns.prompt_tokens + 1000 * turns.completion_tokens) / 1e6)
    assert respond.prompt_tokens == 20 * (GROWN + 64)
    assert judge.prompt_tokens > 20 * (GROWN + 512)


def test_dialogues_are_planned_as_far_as_the_ledger_has_them(loaded: LoadedRecipe, tmp_path: Path) -> None:
    one = session(tmp_path / "workspace", loaded.recipe.models, answer=says)
    context, shard = Context(one, loaded.recipe, loaded.base), one.run.workspace.shards.write(table("prompts", seeds()))
    before = turns_planned(context, no_rules(count=3), shard)
    assert (before.calls, before.known, before.at_most) == (12, 0, True)
    talk(one, no_rules(count=2), seeds())
    after = turns_planned(context, no_rules(count=3), shard)
    assert (after.calls, after.known, after.at_most) == (12, 6, True)
    assert 0 < after.cost_usd < before.cost_usd
    talk(one, no_rules(count=3), seeds())
    whole = turns_planned(context, no_rules(count=3), shard)
    assert (whole.calls, whole.known, whole.at_most, whole.cost_usd) == (12, 12, False, 0.0)


def test_further_turns_count_against_the_budget_beside_the_draws(
    loaded: LoadedRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"{{kind: magpie, model: small, template: chatml, target: 10, turns: {TURNS}}}}}"
    talking = load_recipe(str(loaded.file), [f"source={source}", "budget.calls=100"])
    one = session(tmp_path / "workspace", talking.recipe.models, ranks=ranks())
    reserved: list[dict[int, Cost]] = []
    monkeypatch.setattr(one.dispatcher, "reserve_for", reserved.append)
    logged: list[str] = []
    run = ActiveRun(Context(one, talking.recipe, talking.base), Options(one.run.workspace, log=logged.append))
    later = Planner(run.context)
    later.guess_behind(synthesize, 10, 0)
    run.log_plans([StagePlan(stage="synthesize", calls=15, known=0), *later.plans()], ["synthesize"])
    assert logged[-1] == "budget: about 95 calls of 100 calls"
    assert {rank: cost.calls for rank, cost in reserved[-1].items()} == {
        ranks()["synthesize"]: 15,
        ranks()["converse"]: 40,
        ranks()["respond"]: 20,
        ranks()["judge"]: 20,
    }
    assert ranks()["synthesize"] < ranks()["converse"] < ranks()["respond"] < ranks()["judge"]


def test_turns_of_prompts_that_are_known_and_of_others_are_planned_together(
    loaded: LoadedRecipe, tmp_path: Path
) -> None:
    talking = load_recipe(str(loaded.file), ["source.turns={count: 2, model: small, template: chatml}"])
    one = session(tmp_path / "workspace", talking.recipe.models, answer=says)
    planner = Planner(Context(one, talking.recipe, talking.base))
    rows = Rows(one.run.workspace.shards.write(table("prompts", seeds())), unknown=5)
    left = asyncio.run(planner.run_chunks(converse, rows))
    assert planner.count_of(converse).plan().calls == 2 * (len(seeds()) + 5)
    assert (left.shard, left.unknown) == (None, len(seeds()) + 5)


@pytest.mark.parametrize(
    ("fields", "prompts_paid"), [({"base_url": OPENAI_URL}, 2), ({}, 6), ({"samples_per_call": 2}, 4)]
)
def test_a_prompt_whose_samples_share_a_call_is_counted_once(fields: dict[str, Any], prompts_paid: int) -> None:
    count = Count("respond", {"small": model("small", **fields)}, 0)
    asked = [question(text * 400, draw=draw) for text in "ab" for draw in range(3)]
    count.add(asked, {})
    assert (count.plan().to_pay, count.plan().prompt_tokens) == (6, prompts_paid * 100)
