"""Custom stages: a file beside the recipe gets ledger, cache, plan, quarantine, gates and accounts."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.flows.planning import plan_recipe
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import load_recipe
from kasasagi.flows.run import planner
from kasasagi.flows.runner import Result, run_recipe
from kasasagi.flows.views.trace import reply_text, trace
from kasasagi.tasks.asking import Session, read_rows
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.own.task import own_tasks
from kasasagi.tasks.pipeline import ranks
from kasasagi.tasks.stage_tasks import tasks_of
from kasasagi.tasks.tables import table
from tests.e2e.job import prompt_rows, recipe_for
from tests.fake_server import FakeServer
from tests.tasks.helpers import prompt, response, session
from tests.test_docs import ROOT, blocks

STAGES = '''
"""Stages of our own."""

from kasasagi import Ask, Config, RejectError, UnreadableError, stage


class Brevity(Config):
    """The brevity of a response."""

    model: str
    most: int = 10_000


@stage(Brevity, columns={"remark": str, "length": int})
def brevity(settings, row):
    """Have a model remark on each response, and reject those whose remark is long."""
    question = f"Remark on this answer to {row['instruction']!r}: {row['content']}"
    remark = yield Ask(settings.model, [{"role": "user", "content": question}], read=read, sampling={"max_tokens": 400})
    if len(remark) > settings.most:
        raise RejectError("too_long", f"{len(remark)} characters")
    return {"remark": remark, "length": len(remark)}


def read(reply):
    if len(reply) % 5 == 0:
        raise UnreadableError("odd", "the length is a multiple of 5")
    return reply


@stage(columns={"words": int})
def counted(settings, row):
    """Count the words of a prompt, and reject every prompt with an odd number; no model is asked."""
    words = len(row["instruction"])
    if words % 2:
        raise RejectError("odd_length")
    return {"words": words}


@stage(columns={"instruction": str})
def taken(settings, row):
    """A column that the prompts have."""
    return {"instruction": ""}


def plain(row):
    return row
'''


@pytest.fixture(scope="module")
def server(prefect_server: None) -> Iterator[FakeServer]:
    from prefect.settings import PREFECT_API_URL

    with pytest.MonkeyPatch.context() as patch, FakeServer(models=("small", "large", "critic")) as models:
        patch.setenv("PREFECT_API_URL", PREFECT_API_URL.value() or "")
        yield models


def write_job(
    folder: Path,
    server: FakeServer | None,
    *stages: dict[str, Any],
    file: tuple[str, str] = ("my_stages.py", STAGES),
    **changes: Any,
) -> Path:
    """Write a recipe with own stages, their file and prompts."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row) + "\n" for row in prompt_rows(20)]
    (folder / "prompts.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / file[0]).write_text(file[1], encoding="utf-8")
    recipe = recipe_for(server.base_url if server else "http://127.0.0.1:9/v1", **changes)
    recipe |= {"stages": list(stages), "gates": {"on_fail": "warn"}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    return folder / "recipe.yaml"


def plans(recipe: Path) -> dict[str, tuple[int, int]]:
    """The calls of each stage by the plan, and how many of them are known."""
    found = plan_recipe(load_recipe(str(recipe)), Workspace(recipe.parent / "ws"), None, frozenset())
    return {plan.stage: (plan.calls, plan.known) for plan in found}


def run(recipe: Path, *overrides: str) -> Result:
    return run_recipe(recipe, [f"publish.path={recipe.parent / 'out'}", *overrides], workspace=recipe.parent / "ws")


def test_a_plan_takes_the_results_of_earlier_runs_as_long_as_they_can_be_read(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_job(tmp_path, server, BREVITY, COUNTED)
    result = run(recipe)
    known = plans(recipe)
    assert all(calls == there > 0 for calls, there in known.values())
    with monkeypatch.context() as patch:
        patch.setattr(planner, "known_answers", pytest.fail)
        assert plans(recipe) == known
    results = [file for file in result.run.workspace.results_folder.glob("kasasagi-*") if file.is_file()]
    for number, file in enumerate(results):
        file.write_bytes([b"", b"{}", b'{"result": "[]"}', file.read_bytes()[:-40]][number % 4])
    assert plans(recipe) == known, "the ledger has every answer"


BREVITY = {"use": "my_stages.brevity", "model": "small"}
COUNTED = {"use": "my_stages.counted", "after": "prompts"}


def test_own_stages_are_planned_paid_once_accounted_and_shown(tmp_path: Path, server: FakeServer) -> None:
    recipe = write_job(tmp_path, server, BREVITY, COUNTED)
    assert plans(recipe)["brevity"][1] == 0
    result = run(recipe)
    stages = result.tables["stages"].set_index("stage")
    brevity, counted = stages.loc["brevity"], stages.loc["counted"]
    assert brevity.rows_in == brevity.rows_out + brevity.quarantined
    assert counted.rows_in == counted.rows_out + counted.quarantined
    assert counted.quarantined > 0
    assert brevity.calls_paid >= brevity.rows_in > 0
    responses = result.tables["responses"]
    assert len(responses) == brevity.rows_out
    assert (responses["length"] == responses["remark"].str.len()).all()
    assert set(result.tables["prompts"]["words"] % 2) == {0}
    calls = result.tables["calls"]
    assert len(calls[calls.stage == "brevity"]) == brevity.calls_paid
    name = str(responses["response_id"][0])
    about = [call for call in trace(result.run, name)["calls"] if call["stage"] == "brevity"]
    beside = responses[responses.prompt_id == responses["prompt_id"][0]]
    assert {call["row_id"] for call in about} >= set(beside.response_id)
    remarks = [call for call in about if call["row_id"] == name]
    assert responses["remark"][0] in [reply_text(call["reply"]) for call in remarks]
    assert trace(result.run, remarks[0]["call_id"])["prompt_ids"] == [responses["prompt_id"][0]]
    quarantine = result.tables["quarantine"]
    assert set(quarantine[quarantine.stage == "counted"].reason) == {"odd_length"}
    assert set(quarantine[quarantine.stage == "brevity"].reason) <= {"odd"}
    judged = {(row.stage, row.expectation) for row in result.tables["gates"].itertuples()}
    assert ("brevity", "ExpectColumnValuesToBeInSet(unreadable)") in judged
    loaded = load_recipe(str(recipe))
    rank = ranks([one.stage for one in tasks_of(loaded.recipe, loaded.base)])
    assert rank["converse"] < rank["counted"] < rank["respond"] < rank["brevity"] < rank["judge"]
    known = plans(recipe)
    assert known["brevity"][0] == known["brevity"][1] == brevity.calls_paid
    before = server.stats()["calls"]
    again = run(recipe)
    assert server.stats()["calls"] == before
    assert again.tables["stages"].set_index("stage").loc["brevity"].calls_reused == brevity.calls_paid
    changed = run(recipe, f"stages.0.most={int(responses['length'].max()) - 1}")
    assert server.stats()["calls"] == before, "another setting reads the same replies"
    assert set(changed.tables["quarantine"].query("stage == 'brevity'").reason) >= {"too_long"}


def done(recipe: Path, texts: list[str], answers: Callable[[Question], Completion]) -> tuple[Handle, Session]:
    """Take responses of some texts through the only own stage of a recipe."""
    loaded = load_recipe(str(recipe))
    one = session(recipe.parent / "ws", loaded.recipe.models, answer=answers)
    context = Context(one, loaded.recipe, loaded.base)
    [task] = own_tasks(loaded.recipe, loaded.base, "respond")
    prompts = [prompt("Why?")]
    responses = [{**response(prompts[0], place), "content": text} for place, text in enumerate(texts)]
    store = one.run.workspace.shards
    tables = {"prompts": prompts, "responses": responses}
    inputs = {name: store.write(table(name, rows)) for name, rows in tables.items()}
    with activate(context):
        return Handle.model_validate(task.fn(task.job(context, 0, inputs))), one


def test_the_stage_of_the_documents_rates_rejects_and_repairs(tmp_path: Path) -> None:
    text = next(block for block in blocks(ROOT / "docs" / "extending.md", "python") if "class Brevity(Config)" in block)
    recipe = write_job(tmp_path, None, {"use": "own.brevity", "model": "small", "least": 4}, file=("own.py", text))
    asked: list[Question] = []

    def answers(question: Question) -> Completion:
        asked.append(question)
        first = question.request["messages"][0]["content"]
        reply = "5" if "good" in first else "very brief" if "odd" in first and len(asked) < 4 else "2"
        return Completion(reply, finish_reason="stop")

    handle, one = done(recipe, ["good", "odd", "bad"], answers)
    assert [(row["content"], row["brevity"]) for row in read_rows(one.run, handle.shards["responses"])] == [("good", 5)]
    rejected = {row["reason"]: row["detail"] for row in read_rows(one.run, handle.shards["quarantine"])}
    assert rejected == {"long_winded": "rated 2"}
    assert len(asked) == 4, "the unreadable reply was asked for once more"
    assert (handle.account.rows_in, handle.account.rows_out, handle.account.calls_paid) == (3, 1, 4)


HOSTILE = '''
from kasasagi import Ask, stage


@stage(columns={"number": int, "share": float})
def odd(settings, row):
    """Whatever a function can do with one row."""
    text = row["content"]
    if text == "text":
        return "five"
    if text == "wrong type":
        return {"number": "5"}
    if text == "yes":
        return {"number": True}
    if text == "yields nonsense":
        yield "Why?"
    if text == "no such model":
        yield Ask("nobody", [{"role": "user", "content": "?"}])
    if text == "bad sampling":
        yield Ask("small", [{"role": "user", "content": "?"}], sampling={"temperature": "hot"})
    if text == "reader raises":
        yield Ask("small", [{"role": "user", "content": "?"}], read=int)
    if text == "raises":
        raise KeyError(text)
    return {"number": 5, "share": 1} if text == "good" else None
'''


def test_whatever_a_function_does_with_one_row_costs_no_neighbour(tmp_path: Path) -> None:
    recipe = write_job(tmp_path, None, {"use": "own.odd"}, file=("own.py", HOSTILE))
    texts = ["good", "nothing", "text", "wrong type", "yes", "yields nonsense", "no such model", "bad sampling"]
    texts += ["reader raises", "raises"]
    handle, one = done(recipe, texts, lambda question: Completion("not a number", finish_reason="stop"))
    kept = {row["content"]: (row["number"], row["share"]) for row in read_rows(one.run, handle.shards["responses"])}
    assert kept == {"good": (5, 1.0), "nothing": (None, None)}
    rejected = read_rows(one.run, handle.shards["quarantine"])
    assert sorted(row["reason"] for row in rejected) == ["error"] * 7 + ["unreadable"]
    details = " ".join(row["detail"] for row in rejected)
    for found in ("'five'", "'5' for number", "True for number", "'Why?'", "'nobody'", "temperature", "KeyError"):
        assert found in details
    assert (handle.account.rows_in, handle.account.rows_out) == (10, 2)


def test_an_expectation_of_an_own_stage_is_changed_by_what_differs_alone(tmp_path: Path) -> None:
    changed = {"stage": "brevity", "expectation": "ExpectColumnValuesToBeInSet", "column": "unreadable", "mostly": 0.5}
    recipe = load_recipe(str(write_job(tmp_path, None, BREVITY)), [f"gates.expect={json.dumps([changed])}"]).recipe
    [found] = [
        one for one in recipe.expectations if (one.stage, one.arguments.get("column")) == ("brevity", "unreadable")
    ]
    assert (found.arguments["mostly"], found.arguments["value_set"]) == (0.5, [False])


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"use": "my_stages.brevty", "model": "small"}, "did you mean 'brevity'?"),
        ({"use": "my_stage.brevity", "model": "small"}, "names no file"),
        ({"use": "my_stages.taken", "after": "prompts"}, "the rows have a column 'instruction' already"),
        ({"use": "my_stages.plain"}, "is not a stage: put @stage"),
        ({"use": "my_stages.brevity"}, "model"),
        ({"use": "my_stages.brevity", "model": "smal"}, "'smal' is not a model of this recipe; did you mean 'small'?"),
        ({"use": "my_stages.brevity", "model": "small", "mots": 3}, "mots"),
    ],
)
def test_a_problem_of_an_own_stage_is_found_before_anything_runs(
    tmp_path: Path, entry: dict[str, Any], says: str
) -> None:
    recipe = write_job(tmp_path, None, entry)
    with pytest.raises(RecipeError) as raised:
        load_recipe(str(recipe))
    assert "stages.0" in str(raised.value)
    assert says in str(raised.value)
