"""Rules for answers, judges, strategies, formats and providers of a user's own, from a file beside the recipe."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from datasets import load_from_disk

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.own.python import OwnPythonError
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import load_recipe
from kasasagi.flows.runner import run_recipe
from kasasagi.tasks.pairing import Candidate, Dropped, Pair
from kasasagi.tasks.pairing.strategies import chosen_by
from kasasagi.tasks.publish import PublishError
from kasasagi.tasks.publish.own_format import own_format
from tests.e2e.job import prompt_rows, recipe_for
from tests.fake_server import FakeServer
from tests.tasks.helpers import asked, prompt, response, session
from tests.tasks.test_judge_stage import chunk, config, rows, some
from tests.test_docs import ROOT, blocks

NAMES = ("def no_lists", "class Brevity:", "def alike_in_length", "def alpaca", "def house")
DOCUMENTED = [
    block for block in blocks(ROOT / "docs" / "extending.md", "python") if any(name in block for name in NAMES)
]
MORE = """

def no_short(answer):
    return len(answer.content) > 200 or f"only {len(answer.content)} characters"


def local(model):
    return {"base_url": ADDRESS, "max_concurrency": 16}


def nothing(model):
    return None
"""


def write_job(folder: Path, address: str, **changes: Any) -> Path:
    """Write a recipe, its prompts, and the parts that the documents show beside it."""
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompt_rows(30)), encoding="utf-8")
    (folder / "my_parts.py").write_text("\n".join(DOCUMENTED) + MORE.replace("ADDRESS", repr(address)), "utf-8")
    recipe = recipe_for(address, **changes) | {"gates": {"on_fail": "warn"}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder / "recipe.yaml"


def test_each_part_is_shown_in_under_25_lines() -> None:
    assert len(DOCUMENTED) == len(NAMES)
    assert all(block.count("\n") < 25 for block in DOCUMENTED)


@pytest.mark.usefixtures("prefect_server")
def test_a_run_goes_by_parts_of_ones_own_and_notices_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL

    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value() or "")
    with FakeServer(models=("small", "large", "critic")) as server:
        own = {"kind": "openai", "provider": "my_parts.local", "model": "small"}
        changes = {
            "respond": {"rules": ["finished", "my_parts.no_short"]},
            "pairs": {"strategy": "my_parts.alike_in_length"},
            "publish": {"path": str(tmp_path / "out"), "formats": ["trl", "my_parts.alpaca"]},
        }
        recipe = write_job(tmp_path, server.base_url, **changes)
        data = yaml.safe_load(recipe.read_text("utf-8"))
        recipe.write_text(yaml.safe_dump({**data, "models": {**data["models"], "small": own}}), "utf-8")
        first = run_recipe(recipe, workspace=tmp_path / "ws")
        quarantine = first.tables["quarantine"]
        short = quarantine[quarantine.reason == "no_short"]
        assert set(short.stage) == {"respond"}
        assert all(re.fullmatch(r"only \d+ characters", detail) for detail in short.detail)
        assert first.tables["responses"].content.str.len().min() > 200
        made = load_from_disk(tmp_path / "out" / "alpaca" / "dataset")
        plain = load_from_disk(tmp_path / "out" / "dataset")
        assert len(made) == len(plain) == len(first.tables["pairs"]) > 0
        assert made["output"] == [row[0]["content"] for row in plain["chosen"]]
        assert "alpaca" in (tmp_path / "out" / "README.md").read_text("utf-8")
        parts = tmp_path / "my_parts.py"
        parts.write_text(parts.read_text("utf-8").replace("> 200", "> 0"), "utf-8")
        again = run_recipe(recipe, workspace=tmp_path / "ws")
        assert "no_short" not in set(again.tables["quarantine"].reason)
        assert len(again.tables["responses"]) > len(first.tables["responses"])
        assert again.tables["stages"].set_index("stage").loc["respond"].calls_paid == 0


def test_a_judge_of_ones_own_asks_reads_and_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "my_parts.py").write_text("\n".join(DOCUMENTED), encoding="utf-8")
    replies = iter(["2, 5, 1", "very brief", "1 5 2", "1 5 2"])

    def answers(question: Question) -> Completion:
        return Completion(next(replies), finish_reason="stop")

    one = session(tmp_path / "ws", answer=answers, base=tmp_path)
    question = prompt("Why is the sky blue?")
    handle = chunk(one, config(method="my_parts.Brevity"), [question], some(question, 3))
    ratings = rows(one, handle, "ratings")
    assert len(asked(one)) == 3, "two orders, one of them asked for once more"
    assert len(ratings) == 6
    assert {row["aspect"] for row in ratings} == {"Brevity"}
    assert [row["rating"] for row in ratings if row["ordering"] == "first"] == [2, 5, 1]
    assert "is not 3 numbers from 1 to 5" in asked(one)[2].request["messages"][-1]["content"]


BROKEN = """
class Judge:
    def messages(self, prompt, texts):
        if "sky" in prompt["instruction"]:
            raise KeyError("sky")
        return [{"role": "user", "content": "?"}]

    def read(self, reply, texts):
        return {"one": [1], "nan": [float("nan")] * len(texts), "text": "ab", "text too": [1, "x"]}[reply]


class NoJudge:
    pass
"""


@pytest.mark.parametrize("reply", ["one", "nan", "text", "raise"])
def test_whatever_a_judge_of_ones_own_reads_is_a_rating_for_each_text_or_unreadable(tmp_path: Path, reply: str) -> None:
    (tmp_path / "broken.py").write_text(BROKEN, encoding="utf-8")
    one = session(tmp_path / "ws", answer=lambda _: Completion(reply, finish_reason="stop"), base=tmp_path)
    question, other = prompt("Why is grass green?"), prompt("Why is the sky blue?")
    handle = chunk(
        one,
        config(method="broken.Judge", repairs=0),
        [question, other],
        [*some(question, 2), response(other, 7), response(other, 8)],
    )
    reasons = {row["reason"] for row in rows(one, handle, "quarantine")}
    assert (rows(one, handle, "ratings"), reasons) == ([], {"judge_error", "template"})


@pytest.mark.parametrize("code", ["None", "'Why?'", "[]", "[{'role': 'user'}]", "[texts[1]]", "1 / 0"])
def test_a_judge_that_asks_nothing_costs_the_prompt_or_ends_in_one_sentence(tmp_path: Path, code: str) -> None:
    always = (
        f"class Judge:\n    def messages(self, prompt, texts):\n        return {code}\n    def read(self, r, t): ...\n"
    )
    (tmp_path / "always.py").write_text(always, encoding="utf-8")
    sometimes = always.replace(
        "return", "if texts == ['Yes.', 'No.']: return [dict(role='user', content='?')]\n        return"
    )
    (tmp_path / "sometimes.py").write_text(sometimes, encoding="utf-8")
    one, question = session(tmp_path / "ws", base=tmp_path), prompt("Why?")
    handle = chunk(one, config(method="always.Judge"), [question], some(question, 2))
    assert {row["reason"] for row in rows(one, handle, "quarantine")} == {"template"}
    assert asked(one) == []
    with pytest.raises(OwnPythonError, match=r"judge\.method: Judge asks nothing .*; fix its messages\(\)"):
        chunk(one, config(method="sometimes.Judge"), [question], some(question, 2))


@pytest.mark.parametrize(
    "made",
    [
        [None],
        [{"a": 1}, {"a": "text"}],
        [{"a": 1}, {"a": 1, "b": 2}],
        [{"a": object()}],
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_rows_of_a_format_that_do_not_fit_together_are_one_sentence(made: list[Any], together: bool) -> None:
    rows_left = iter(made)
    convert = own_format("mine", lambda row: next(rows_left)).convert
    pairs = [pa.table({"prompt_id": [str(place)]}) for place in range(len(made))]
    tables = [pa.concat_tables(pairs)] if together else pairs
    with pytest.raises(PublishError, match=r"^publish\.formats: mine makes no row of a pair .*; fix its function"):
        list(map(convert, tables))


def test_a_key_that_a_provider_of_ones_own_gives_is_refused_as_in_a_recipe(tmp_path: Path) -> None:
    recipe = write_job(tmp_path, "http://127.0.0.1:9/v1", models={"small": {"provider": "my_parts.leaky"}})
    parts = tmp_path / "my_parts.py"
    secret = "sk-" + "a1" * 12
    leaky = f"def leaky(model):\n    return {{'base_url': 'http://127.0.0.1:9/v1', 'api_key_env': '{secret}'}}\n"
    parts.write_text(parts.read_text("utf-8") + "\n\n" + leaky, "utf-8")
    with pytest.raises(RecipeError, match=r"models\.small\.api_key_env: this is an API key itself") as caught:
        load_recipe(str(recipe))
    assert secret not in str(caught.value)


def candidate(name: str, *ratings: float, content: str | None = None, ended: str = "stop") -> Candidate:
    return Candidate(name, "small", content or name, ratings, ended)


@pytest.mark.parametrize(
    ("choose", "reason"),
    [
        (lambda some: (some[0], some[1]), None),
        (lambda some: (some[1], some[0]), "tie"),
        (lambda some: (some[2], some[1]), "no_finished_response"),
        (lambda some: (some[0], some[3]), "below_margin"),
        (lambda some: "nothing fits", "no_choice"),
        (lambda some: None, "no_choice"),
        (lambda some: some, "strategy_error"),
        (lambda some: (some[0], candidate("forged", 1.0)), "strategy_error"),
        (lambda some: 1 / 0, "strategy_error"),
    ],
)
def test_what_a_strategy_of_ones_own_names_keeps_the_promises_of_a_pair(choose: Any, reason: str | None) -> None:
    candidates = [candidate("a", 5.0), candidate("b", 1.0), candidate("c", 4.0, ended="length"), candidate("d", 4.5)]
    outcome = chosen_by(choose, candidates, 1.0)
    if reason is None:
        assert isinstance(outcome, Pair)
        assert (outcome.chosen.response_id, outcome.rejected.response_id, outcome.margin) == ("a", "b", 4.0)
    else:
        assert isinstance(outcome, Dropped)
        assert outcome.reason == reason


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"respond": {"rules": ["my_parts.no_list"]}},
            r"respond\.rules: .*no function 'no_list': did you mean",
        ),
        (
            {"respond": {"rules": ["finishd"]}},
            r"respond\.rules\.0: 'finishd'.*is not a rule for answers",
        ),
        (
            {"judge": {"method": "my_parts.alpaca"}},
            r"judge\.method: 'alpaca' is not a judge: write a class with messages",
        ),
        ({"judge": {"method": "my_judges.Brevity"}}, r"judge\.method: .*names no file"),
        ({"judge": {"method": "my_parts.Brevity", "output": "json"}}, "asks in its own words, so leave them out"),
        ({"pairs": {"strategy": "nearest"}}, r"pairs\.strategy: 'nearest'.*is not a strategy"),
        ({"publish": {"formats": ["trl", "my_parts.trl"]}}, "'trl' appears twice"),
        ({"publish": {"formats": ["parquet"]}}, r"publish\.formats\.0: 'parquet'.*is not a format"),
        (
            {"models": {"small": {"provider": "my_parts.nothing"}}},
            r"models\.small\.provider: .*gives no keys",
        ),
        ({"models": {"small": {"provider": "house"}}}, r"models\.small\.\w*\.?provider: 'house'.*is not a provider"),
    ],
)
def test_a_part_that_is_not_there_is_named_before_anything_runs(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(str(write_job(tmp_path, "http://127.0.0.1:9/v1", **changes)))
