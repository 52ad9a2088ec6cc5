"""The method verify: ratings without a call, what is quarantined, and pairs of correct over incorrect answers."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.workspace.shards import Handle
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import check_recipe
from kasasagi.tasks.asking import ChunkJob, Session, read_rows
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.checkers.code import sandbox
from kasasagi.tasks.judge.checkers.code.sandbox import unsupported
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.verify.work import verify_chunk
from kasasagi.tasks.tables import table
from tests.tasks.helpers import asked, pairs_from, prompt, response, session

JUDGE = JudgeConfig.model_validate({"method": "verify", "verify": {"constraint": 4, "kind": "number"}})
QUESTION = prompt("What is 2 + 2?")


def answers(*texts: str) -> list[dict[str, Any]]:
    return [{**response(QUESTION, number), "content": text} for number, text in enumerate(texts)]


def chunk(session: Session, judge: JudgeConfig, responses: list[dict[str, Any]]) -> Handle:
    store = session.run.workspace.shards
    inputs = {
        "prompts": store.write(table("prompts", [QUESTION])),
        "responses": store.write(table("responses", responses)),
    }
    return verify_chunk(session, judge, ChunkJob(stage="judge", run=session.run.id, inputs=inputs, cache_key=""))


def test_a_correct_answer_is_chosen_over_an_incorrect_one_and_nobody_is_asked(tmp_path: Path) -> None:
    one = session(tmp_path)
    some = answers("The answer is 4.", "The answer is 5.", "Hard to say.")
    right, wrong = some[0]["response_id"], some[1]["response_id"]
    handle = chunk(one, JUDGE, some)
    assert asked(one) == []
    ratings = read_rows(one.run, handle.shards["ratings"])
    assert {row["response_id"]: row["rating"] for row in ratings} == {right: 1, wrong: 0}
    [left] = read_rows(one.run, handle.shards["quarantine"])
    assert left["reason"] == "cannot_tell"
    assert "Hard to say." in left["payload"]
    assert (handle.account.rows_in, handle.account.rows_out, handle.account.calls_paid) == (3, 2, 0)
    [pair] = pairs_from(PairsConfig(), JUDGE, [QUESTION], some, ratings).rows["pairs"]
    assert (pair["chosen_id"], pair["rejected_id"], pair["margin"]) == (right, wrong, 1)


@pytest.mark.skipif(bool(unsupported()), reason="the sandbox is for Linux")
def test_code_that_passes_its_tests_is_chosen_over_code_that_fails(tmp_path: Path) -> None:
    verify = {"kind": "code", "constraint": "assert double(2) == 4", "run_code": True}
    judge = JudgeConfig.model_validate({"method": "verify", "verify": verify})
    one, bodies = session(tmp_path), ("x + 1", "2 * x", "open(x)")
    some = answers(*(f"```python\ndef double(x):\n    return {body}\n```" for body in bodies), "Use a loop.")
    handle = chunk(one, judge, some)
    left = {row["reason"] for row in read_rows(one.run, handle.shards["quarantine"])}
    assert left == {"not_allowed", "no_code"}
    [pair] = pairs_from(PairsConfig(), judge, [QUESTION], some, read_rows(one.run, handle.shards["ratings"])).rows[
        "pairs"
    ]
    assert (pair["chosen_id"], pair["rejected_id"]) == (some[1]["response_id"], some[0]["response_id"])


@pytest.mark.skipif(bool(unsupported()), reason="the sandbox is for Linux")
def test_what_only_this_machine_could_not_check_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = {"kind": "code", "constraint": "assert double(2) == 4", "run_code": True}
    judge = JudgeConfig.model_validate({"method": "verify", "verify": verify})
    one, some = session(tmp_path), answers("```python\ndef double(x):\n    return 2 * x\n```", "Use a loop.")

    def no_process(*_: Any) -> Any:
        raise BlockingIOError("no process is left")

    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "_run", no_process)
        assert not chunk(one, judge, some).complete
    assert chunk(one, judge, some).complete, "an answer without code stays one"


@pytest.mark.parametrize("strategy", ["best_vs_worst", "all_above_margin", "best_vs_random"])
@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("4", "The answer is 4.", "no idea"), "all_correct"),
        (("5", "The answer is 6."), "none_correct"),
        (("4", "no idea"), "missing_rating"),
        (("4",), "all_correct"),
        (("no idea",), "too_few_responses"),
    ],
)
def test_prompts_without_both_verdicts_say_which(
    tmp_path: Path, texts: tuple[str, ...], reason: str, strategy: str
) -> None:
    one, some = session(tmp_path), answers(*texts)
    ratings = read_rows(one.run, chunk(one, JUDGE, some).shards.get("ratings"))
    pairs = PairsConfig.model_validate({"strategy": strategy})
    [dropped] = pairs_from(pairs, JUDGE, [QUESTION], some, ratings).rows["quarantine"]
    assert dropped["reason"] == reason


def test_nothing_is_said_of_an_answer_that_was_cut_off_or_has_no_truth(tmp_path: Path) -> None:
    one = session(tmp_path)
    cut = [{**row, "finish_reason": "length"} for row in answers("4", "5")]
    left = read_rows(one.run, chunk(one, JUDGE, cut).shards["quarantine"])
    assert {row["reason"] for row in left} == {"truncated"}
    by_column = JudgeConfig.model_validate({"method": "verify", "verify": {"truth": "answer"}})
    left = read_rows(one.run, chunk(one, by_column, answers("4", "5")).shards["quarantine"])
    assert {row["reason"] for row in left} == {"no_truth"}


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        ({"method": "verify", "model": "hina"}, "model is for judges that are models; verify asks none"),
        ({"method": "verify", "samples": 3}, "samples is for judges that are models"),
        (
            {"method": "verify", "verify": {"kind": "number"}},
            "number compares with something; name its column",
        ),
        ({"method": "verify", "verify": {"truth": "a", "constraint": 1}}, "give one of them"),
        ({"method": "verify", "verify": {"kind": "nmber"}}, "is not a checker"),
        ({"verify": {"truth": "a"}}, "without a judge, set method: verify"),
        ({"model": "verify", "verify": {"truth": "a"}}, "'verify' is the checker's name in the ratings"),
        ({"method": "verify", "aspects": ["honesty"]}, "aspects is for ultrafeedback"),
    ],
)
def test_settings_that_do_not_fit_are_errors(judge: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        JudgeConfig.model_validate(judge)


def recipe(**verify: Any) -> dict[str, Any]:
    return {
        "name": "checked",
        "source": {"kind": "dataset", "path": "prompts.jsonl", "keep": ["answer"]},
        "models": {"hina": {"kind": "bundled"}},
        "respond": {"models": ["hina"], "samples": 2},
        "judge": {"method": "verify", "verify": verify},
    }


@pytest.mark.parametrize(
    ("verify", "words"),
    [
        ({"truth": "anser"}, "judge.verify.truth: 'anser' is not a column of the prompts; did you mean 'answer'"),
        (
            {"constraint": "(", "kind": "regex"},
            "judge.verify.constraint: '\\(' cannot be checked: .* pattern of RE2",
        ),
        ({"constraint": {"wrods": 3}, "kind": "instructions"}, "judge.verify.constraint: .*wrods"),
        ({"constraint": {"type": "objekt"}, "kind": "json"}, "judge.verify.constraint: .*'objekt' is not valid"),
        ({"constraint": [], "kind": "number"}, "judge.verify.constraint: .*no truth is given"),
        ({"kind": "my_checks.missing"}, "judge.verify.kind: 'my_checks.missing' names no file"),
    ],
)
def test_a_recipe_with_nothing_to_check_against_is_refused(tmp_path: Path, verify: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        check_recipe(recipe(**verify), tmp_path)


@pytest.mark.parametrize("judge", [{"method": "verify"}, {"model": "hina"}])
@pytest.mark.parametrize("bound", ["min_margin", "min_chosen_rating"])
def test_a_bound_that_no_verdict_reaches_is_refused(tmp_path: Path, judge: dict[str, Any], bound: str) -> None:
    whole = {**recipe(), "judge": {**judge, "verify": {"truth": "answer"}}, "pairs": {bound: 2}}
    with pytest.raises(RecipeError, match=f"{bound}: 2 is more than verify can give, whose ratings are 1 for correct"):
        check_recipe(whole, tmp_path)
