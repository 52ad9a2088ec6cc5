"""Prompts are chosen by what their responses showed: conditions, and quotas, before pairs are made."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import check_recipe
from kasasagi.tasks.asking import ChunkJob, read_rows
from kasasagi.tasks.format_dpo.chosen_prompts import left_out_by_chunk
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.format_dpo.pairs import format_chunk
from kasasagi.tasks.format_dpo.response_columns import pass_rating, response_columns
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.pairing import Candidate
from kasasagi.tasks.pipeline import gate_of
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import open_tables
from tests.tasks.helpers import prompt, response, session

CRITIC = JudgeConfig(model="critic")
SIDES: dict[str, Any] = {"strong": ["large"], "weak": ["small"]}
MARKS = {"easy": (5, 5, 4, 5), "mixed": (5, 4, 2, 1), "hard": (2, 1, 1, 2), "upside down": (1, 2, 5, 4)}
"""The ratings of two answers by large and two by small, by instruction."""


def candidate(model: str, *ratings: float | None) -> Candidate:
    return Candidate(str(ratings), model, "text", ratings)


def config(**fields: Any) -> PairsConfig:
    return PairsConfig.model_validate(fields)


def test_the_columns_are_of_the_rated_answers_alone() -> None:
    answers = [candidate("large", 5, 4), candidate("large", 3, 3), candidate("small", 1), candidate("small", None)]
    named = config(where={"any": "true"}, **SIDES)
    assert response_columns(named, CRITIC, answers) == {
        "rating_spread": 3.5,
        "pass_rate": pytest.approx(1 / 3),
        "solver_gap": 2.75,
    }
    nothing = dict.fromkeys(("rating_spread", "pass_rate", "solver_gap"))
    assert response_columns(named, CRITIC, answers[3:]) == nothing
    assert response_columns(named, None, []) == nothing
    alone = response_columns(config(where={"any": "true"}), CRITIC, answers[:1])
    assert alone == {"rating_spread": None, "pass_rate": 1.0, "solver_gap": None}


@pytest.mark.parametrize(
    ("judge", "wanted"),
    [
        ({"model": "critic"}, 4.0),
        ({"model": "critic", "method": "rubric", "rubric": {"text": "Is it kind?", "lowest": 0, "highest": 10}}, 7.5),
        ({"method": "verify", "verify": {"truth": "answer"}}, 1.0),
        ({"model": "critic", "method": "pairwise"}, None),
    ],
)
def test_an_answer_passes_three_quarters_up_the_scale_or_where_it_is_correct(
    judge: dict[str, Any], wanted: float | None
) -> None:
    made = JudgeConfig.model_validate(judge)
    assert pass_rating(config(), made) == wanted
    assert pass_rating(config(pass_rating=0.5), made) == 0.5


class Made:
    """The chunk of pairs that a configuration makes of the prompts of MARKS."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self.config = config(**fields, **SIDES)
        self.session = session(folder)
        self.prompts = [prompt(text, topic=text[0], position=at) for at, text in enumerate(MARKS)]
        responses = [
            response(one, 4 * at + place, content=f"answer {place} of {at}", model=model)
            for at, one in enumerate(self.prompts)
            for place, model in enumerate(("large", "large", "small", "small"))
        ]
        marks = [mark for some in MARKS.values() for mark in some]
        same = {"judge": "critic", "aspect": "overall-rating"}
        ratings = [
            {**same, "response_id": one["response_id"], "prompt_id": one["prompt_id"], "ordering": name, "rating": mark}
            for one, mark in zip(responses, marks, strict=True)
            for name in ("first", "swapped")
        ]
        store = self.session.run.workspace.shards
        topic = [table("prompts", []).schema.field("instruction").with_name("topic")]
        self.inputs = {
            "prompts": store.write(table("prompts", self.prompts, topic)),
            "responses": store.write(table("responses", responses)),
            "ratings": store.write(table("ratings", ratings)),
        }
        self.make(self.inputs)

    def make(self, inputs: dict[str, Any]) -> None:
        run = self.session.run
        judged = ChunkJob(stage="format_dpo", run=run.id, inputs=inputs, cache_key="")
        self.handle = format_chunk(run, self.config, CRITIC, judged)
        run.add(self.handle, reused=False)
        run.add(
            self.handle.model_copy(
                update={"stage": "load", "shards": {name: inputs[name] for name in ("prompts", "responses")}}
            ),
            reused=False,
        )

    def texts(self) -> set[str]:
        by_id = {one["prompt_id"]: one["instruction"] for one in self.prompts}
        return {by_id[row["prompt_id"]] for row in read_rows(self.session.run, self.handle.shards.get("pairs"))}

    def reasons(self) -> dict[str, str]:
        rows = read_rows(self.session.run, self.handle.shards.get("quarantine"))
        return {json.loads(row["payload"])["instruction"]: row["reason"] for row in rows}


def test_conditions_leave_out_prompts_with_their_reason_and_the_account_closes(tmp_path: Path) -> None:
    made = Made(tmp_path, where={"alike": "rating_spread >= 2", "weaker": "solver_gap > 0", "kind": "topic <> 'x'"})
    assert made.texts() == {"mixed"}
    assert made.reasons() == {"easy": "alike", "hard": "alike", "upside down": "weaker"}
    account = made.handle.account
    assert (account.rows_in, account.rows_out, account.quarantined) == (4, 1, 3)
    [pair] = read_rows(made.session.run, made.handle.shards["pairs"])
    assert [pair[name] for name in ("rating_spread", "pass_rate", "solver_gap")] == [4.0, 0.5, 3.0]
    with open_tables(made.session.run) as tables:
        query = "SELECT row_id, detail, payload->>'solver_gap' FROM quarantine WHERE reason = 'weaker'"
        assert tables.execute(query).fetchall() == [(made.prompts[3]["prompt_id"], "false: solver_gap > 0", "-3.0")]
        gives = tables.execute(f"SELECT gives_pair FROM ({gate_of('format_dpo').frame})").fetchall()
    assert gives == [(True,)], "prompts that are not wanted are no failure to make pairs"


def test_a_condition_that_fails_or_is_null_is_not_met(tmp_path: Path) -> None:
    made = Made(tmp_path, where={"odd": "CAST(instruction AS INTEGER) > rating_spread"})
    assert set(made.reasons().values()) == {"odd"}
    assert made.handle.account.rows_out == 0


def test_quotas_choose_among_the_prompts_that_meet_the_conditions(tmp_path: Path) -> None:
    select = {"limit": 1, "order_by": ["pass_rate desc", "rating_spread desc"]}
    made = Made(tmp_path, where={"not_solved": "pass_rate < 1"}, select=select)
    assert made.texts() >= {"mixed", "upside down"}
    [(chunk, left_out)] = left_out_by_chunk(made.session.run, made.config, {}).items()
    assert chunk == 0
    made.make({**made.inputs, "left_out": left_out})
    assert made.texts() == {"mixed"}
    assert made.reasons() == {"easy": "not_solved", "hard": "quota", "upside down": "quota"}
    assert (made.handle.account.rows_in, made.handle.account.quarantined) == (4, 3)
    again = left_out_by_chunk(made.session.run, made.config, {})
    assert again == {0: left_out}


@pytest.mark.parametrize("where", [{"tie": "true"}, {"quota": "true"}, {" ": "true"}, {"mine": " "}])
def test_a_reason_is_of_the_users_own_and_a_condition_says_something(where: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        config(where=where)


@pytest.mark.parametrize(
    ("pairs", "judge", "message"),
    [
        ({"where": {"a": "spread > 1"}}, {}, "pairs.where.a: 'spread > 1' is not a valid condition"),
        ({"where": {"a": "solver_gap > 1"}}, {}, "pairs: solver_gap needs the models of both sides; write strong"),
        (
            {"where": {"a": "pass_rate > 0"}},
            {"method": "pairwise"},
            "pairs.pass_rating: this key is missing; ratings",
        ),
        ({"select": {"limit": 1, "order_by": "pas_rate"}}, {}, "pairs.select.order_by: 'pas_rate' is not a column"),
        ({"select": {"limit": 1}, "target": 5}, {}, "pairs.select: quotas need all prompts, and pairs.target stops"),
        (
            {"strategy": "strong_vs_weak", **SIDES, "where": {"a": "pass_rate > 0"}},
            {},
            "pairs: pass_rate is made of ratings, and strong_vs_weak uses none; name another strategy",
        ),
    ],
)
def test_what_cannot_be_chosen_by_is_a_sentence(pairs: dict[str, Any], judge: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(pairs, **judge)
    assert any(line.startswith(message) for line in str(caught.value).splitlines()), str(caught.value)


def test_what_can_be_chosen_by_is_no_error() -> None:
    recipe({"where": {"a": "pass_rate BETWEEN 0.1 AND 0.9", "b": "length(instruction) > 3"}, "min_margin": 0.5})
    recipe({"where": {"a": "solver_gap > 1"}, **SIDES, "target": 5})
    recipe({"where": {"a": "pass_rate > 0"}, "pass_rating": 0.5, "min_margin": 0.1}, method="pairwise")
    recipe({"strategy": "strong_vs_weak", **SIDES, "where": {"short": "length(instruction) < 300"}})


def recipe(pairs: dict[str, Any], **judge: Any) -> None:
    check_recipe(
        {
            "name": "chosen",
            "source": {"kind": "dataset", "path": "prompts.jsonl"},
            "models": {
                name: {"kind": "openai", "model": name, "base_url": "http://127.0.0.1:1/v1"}
                for name in ("small", "large", "critic")
            },
            "respond": {"models": ["small", "large"]},
            "judge": {"model": "critic", **judge},
            "pairs": pairs,
        },
        Path(),
    )
