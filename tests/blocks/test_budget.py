"""Budgets: what is reserved, what waits, what is refused, and what later stages keep."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.dispatch.budget import BudgetSpentError, BudgetTracker, Cost
from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.lanes import Job
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import Budget, OpenAIModel
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import ScriptedServer, dispatching, kept, model, question, questions
from tests.fake_server import FakeServer


def job(number: int, rank: int = 1, label: str = "small", **parameters: Any) -> Job:
    request = {"messages": [{"role": "user", "content": "x" * 40}], "max_tokens": 90, **parameters}
    return Job(label, f"{label} {rank} {number}", request, rank, 0)


def tracker(own: dict[str, Any] | None = None, **budget: Any) -> BudgetTracker:
    """A model at 1 dollar a million tokens; a call of job() is expected to take 100 of them."""
    fields = {"kind": "openai", "model": "small", "usd_per_million_tokens": {"input": 1, "output": 1}}
    return BudgetTracker(Budget(**budget), {"small": OpenAIModel.model_validate({**fields, "budget": own or {}})})


ANSWER = Completion("yes", prompt_tokens=10, completion_tokens=40)


def test_calls_wait_for_those_on_their_way_and_are_refused_when_there_is_nothing_to_wait_for() -> None:
    some = tracker(tokens=250)
    assert some.reserve(job(1))
    assert some.reserve(job(2))
    assert not some.reserve(job(3))
    some.settle(job(1).key, ANSWER)
    assert some.reserve(job(3))
    for number in (2, 3):
        some.settle(job(number).key, Completion(prompt_tokens=10, completion_tokens=90))
    with pytest.raises(BudgetSpentError, match=r"budget of 250 tokens .* 250 tokens are spent;.*raise b"):
        some.reserve(job(4))


@pytest.mark.parametrize(("budget", "message"), [({"calls": 2}, "2 calls"), ({"usd": 0.0002}, r"\$0.0002")])
def test_each_unit_has_its_cap(budget: dict[str, Any], message: str) -> None:
    some = tracker(**budget)
    for number in range(2):
        assert some.reserve(job(number))
        some.settle(job(number).key, Completion(prompt_tokens=10, completion_tokens=90))
    with pytest.raises(BudgetSpentError, match=f"budget of {message}"):
        some.reserve(job(3))


def test_a_call_that_failed_is_not_paid_for() -> None:
    some = tracker(calls=1)
    for number in range(5):
        assert some.reserve(job(number))
        some.settle(job(number).key, Completion(error="server_error", transient=True))


def test_a_generation_that_broke_off_takes_its_tokens_but_is_no_answered_call() -> None:
    broken_off = Completion(error="server_error", transient=True, prompt_tokens=10, completion_tokens=90)
    some = tracker(tokens=350, calls=1)
    for _ in range(3):
        assert some.reserve(job(1))
        some.settle(job(1).key, broken_off)
    with pytest.raises(BudgetSpentError, match=r"budget of 350 tokens .* 300 tokens are spent"):
        some.reserve(job(2))


def test_a_server_that_counts_no_tokens_is_held_to_the_budget_by_its_texts() -> None:
    some = tracker(tokens=250)
    uncounted = Completion("y" * 360)
    for number in range(2):
        assert some.reserve(job(number))
        some.settle(job(number).key, uncounted)
    with pytest.raises(BudgetSpentError, match="200 tokens are spent"):
        some.reserve(job(3))


def test_the_vector_of_an_embedding_is_no_text_that_was_paid_for() -> None:
    some = tracker(tokens=11)
    asked = Job("small", "e", {"input": "x" * 40}, 1, 0)
    assert some.reserve(asked)
    some.settle("e", Completion("a vector, packed", prompt_tokens=0))
    with pytest.raises(BudgetSpentError, match="10 tokens are spent"):
        some.reserve(Job("small", "f", {"input": "x" * 40}, 1, 0))


def test_a_model_has_a_budget_of_its_own() -> None:
    some = tracker({"calls": 1}, calls=10)
    assert some.reserve(job(1))
    some.settle(job(1).key, ANSWER)
    with pytest.raises(BudgetSpentError, match=r"for model 'small'.*raise models\.small\.budget\.calls"):
        some.reserve(job(2))


def test_later_stages_keep_their_share() -> None:
    """Of 30 calls, 10 answers need 20 verdicts: with a budget of 15, 5 are answered and all of those are judged."""
    some = tracker(calls=15)
    some.reserve_for({1: Cost(0, 0, 10), 2: Cost(0, 0, 20)})
    for number in range(5):
        assert some.reserve(job(number))
        some.settle(job(number).key, ANSWER)
    with pytest.raises(BudgetSpentError, match="5 calls are spent, and 12 calls are reserved for later stages"):
        some.reserve(job(6))
    for number in range(10):
        assert some.reserve(job(number, rank=2))
        some.settle(job(number, rank=2).key, ANSWER)


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=120), st.integers(100, 5_000))
def test_what_is_spent_never_passes_the_cap_while_answers_keep_to_what_is_expected(
    answers: list[tuple[int, bool]], cap: int
) -> None:
    some, flying, spent = tracker(tokens=cap), [], 0
    for number, (tokens, settles) in enumerate(answers):
        try:
            if some.reserve(job(number, max_tokens=200)):
                flying.append((number, tokens))
        except BudgetSpentError:
            pass
        if settles and flying:
            done, took = flying.pop(0)
            took = min(took, 19 * 10) if done < 19 else 0
            some.settle(job(done).key, Completion(prompt_tokens=10, completion_tokens=took))
            spent += 10 + took
        assert spent <= cap


def asking(server: FakeServer, folder: Path, budget: Budget, asked: list[Any], **fields: Any) -> str:
    """What ends the asking, or nothing."""
    dispatcher = Dispatcher({"small": model(server, **fields)}, {}, folder, budget)
    try:
        dispatcher.ask(asked)
    except BudgetSpentError as error:
        return str(error)
    finally:
        dispatcher.close(drain_s=20)
    return ""


@pytest.mark.usefixtures("quick")
def test_hundreds_in_flight_do_not_run_past_the_cap(server: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.02, faults={"http_500": 0.1})
    asked = questions(300)
    assert "raise budget.calls" in asking(server, tmp_path, Budget(calls=100), asked, max_concurrency=256)
    done = server.stats()["calls_finished"]
    assert done == len(kept(tmp_path, asked)) == 100


def test_tokens_stay_within_the_cap_and_nearly_use_it(server: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.01, tokens_mean=100.0, tokens_sd=20.0)
    asked = [question(f"question {number}", max_tokens=1_000) for number in range(300)]
    assert asking(server, tmp_path, Budget(tokens=15_000), asked, max_concurrency=64)
    answers = kept(tmp_path, asked).values()
    assert 12_000 < sum(one.prompt_tokens + one.completion_tokens for one in answers) <= 15_000


def test_a_budget_that_reaches_changes_nothing(server: FakeServer, tmp_path: Path) -> None:
    assert asking(server, tmp_path, Budget(calls=50, usd=1.0), questions(50)) == ""
    assert server.stats()["calls"] == 50


def ask_one_by_one(dispatcher: Dispatcher, asked: list[Question]) -> None:
    for one in asked:
        dispatcher.ask([one])


@pytest.mark.usefixtures("quick", "short_rests")
@pytest.mark.parametrize("retries", [0, 6])
def test_texts_that_break_off_are_paid_for_until_the_budget_ends_them(
    server: FakeServer, tmp_path: Path, retries: int
) -> None:
    """Each try takes 100 tokens and those of its prompt, so that 20 questions of 7 tries would take over 14,000."""
    server.configure(faults={"broken_off": 1.0}, tokens_mean=100.0)
    models = {"small": model(server, max_retries=retries)}
    dispatcher = Dispatcher(models, {}, tmp_path, Budget(tokens=1_000))
    try:
        with pytest.raises(BudgetSpentError, match=r"budget of 1,000 tokens .* raise budget\.tokens"):
            ask_one_by_one(dispatcher, [question(f"question {number}", max_tokens=100) for number in range(20)])
    finally:
        dispatcher.close(drain_s=20)
    assert 800 < dispatcher.counters.prompt_tokens + dispatcher.counters.completion_tokens <= 1_000
    assert dispatcher.counters.completion_tokens == 100 * server.stats()["calls"]


@pytest.mark.usefixtures("quick")
def test_a_shared_call_whose_texts_all_break_off_is_counted_once(tmp_path: Path) -> None:
    choices = [{"index": index, "text": "half", "finish_reason": "error"} for index in range(3)]
    body = json.dumps({"choices": choices, "usage": {"prompt_tokens": 10, "completion_tokens": 20}}).encode()
    asked = [Question("small", f"{draw:032x}", {"prompt": "a", "temperature": 1.0}) for draw in range(3)]
    with (
        ScriptedServer(lambda number, headers: (200, {}, body)) as scripted,
        dispatching(tmp_path, {"small": model(scripted.base_url, max_retries=0, draws_per_call=3)}) as dispatcher,
    ):
        answers = dispatcher.ask(asked)
        assert (dispatcher.counters.prompt_tokens, dispatcher.counters.completion_tokens) == (10, 20)
    assert (scripted.posts, [one.error for one in answers]) == (1, ["server_error"] * 3)
