"""Asking: what the ledger knows is not asked, every call is accounted for, and an account must close."""

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.budget import BudgetSpentError
from kasasagi.blocks.dispatch.dispatcher import StoppedError
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.shards import Account
from kasasagi.tasks.asking import (
    Answered,
    ChunkJob,
    ChunkResult,
    Session,
    ask,
    call_row,
    is_stale,
    keep_chunk,
    known_answers,
    quarantine_row,
    read_rows,
)
from tests.tasks.helpers import asked, good, model, session


def question(text: str, label: str = "small") -> Question:
    request = {"messages": [{"role": "user", "content": text}]}
    return Question(label, ledger_key(label, request, 0), request)


def test_what_the_ledger_knows_is_not_asked_again(tmp_path: Path) -> None:
    one = session(tmp_path)
    first = ask(one, [question("a"), question("b")], "respond", 0)
    again = session(tmp_path, run_id="again")
    second = ask(again, [question("c"), question("a"), question("b")], "respond", 0)
    assert [answer.reused for answer in second] == [False, True, True]
    assert [answer.completion for answer in second[1:]] == [answer.completion for answer in first]
    assert [one.request["messages"][0]["content"] for one in asked(again)] == ["c"]


def test_a_failure_is_asked_again_if_it_may_pass_or_if_that_was_wished(tmp_path: Path) -> None:
    faults = {
        "passing": Completion(error="server_error", transient=True),
        "lasting": Completion(error="context_too_long"),
    }
    questions = [question("passing"), question("lasting"), question("good")]

    def fails(one: Question) -> Completion:
        return faults.get(one.request["messages"][0]["content"], good(one))

    ask(session(tmp_path, answer=fails), questions, "respond", 0)
    plain = session(tmp_path, run_id="plain")
    answers = ask(plain, questions, "respond", 0)
    assert [answer.reused for answer in answers] == [False, True, True]
    wished = session(tmp_path, run_id="wished", ask_again=frozenset({"context_too_long"}))
    answers = ask(wished, questions, "respond", 0)
    assert [answer.reused for answer in answers] == [True, False, True]
    assert answers[1].completion.error is None
    assert known_answers(plain, questions)[questions[1].key].error is None


def test_equal_questions_of_a_chunk_are_paid_for_once(tmp_path: Path) -> None:
    models = {"small": model("small", usd_per_million_tokens={"input": 1e6, "output": 0})}
    one = session(tmp_path, models)
    answers = ask(one, [question("a"), question("b"), question("a")], "respond", 0)
    assert answers[0].completion == answers[2].completion
    assert [answer.reused for answer in answers] == [False, False, True]
    assert [call_row(models, "respond", answer)["cost_usd"] for answer in answers] == [7.0, 7.0, 0.0]


def test_two_runs_that_ask_the_same_at_once_pay_once(tmp_path: Path) -> None:
    release = threading.Event()

    def slowly(one: Question) -> Completion:
        assert release.wait(20)
        return good(one)

    sessions = [session(tmp_path, answer=slowly, run_id=name) for name in ("one", "two")]
    found: list[list[Answered]] = []
    threads = [
        threading.Thread(target=lambda one=one: found.append(ask(one, [question("a"), question("b")], "respond", 0)))
        for one in sessions
    ]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(20)
    assert sum(len(asked(one)) for one in sessions) == 2
    assert [one.completion for one in found[0]] == [one.completion for one in found[1]]


def together(asking: Sequence[tuple[Session, Sequence[Question]]]) -> list[list[Answered]]:
    """What several sessions are answered that ask at once, each in a thread of its own."""
    with ThreadPoolExecutor(len(asking)) as pool:
        return [one.result() for one in [pool.submit(ask, one, questions, 1, 0) for one, questions in asking]]


def texts(session: Session) -> list[str]:
    return [one.request["messages"][0]["content"] for one in asked(session)]


def test_runs_whose_questions_overlap_pay_once_for_each(tmp_path: Path) -> None:
    claimed, released, logged = threading.Event(), threading.Event(), list[str]()

    def once_the_other_waits(one: Question) -> Completion:
        claimed.set()
        assert released.wait(60)
        return good(one)

    def hears(line: str) -> None:
        logged.append(line)
        released.set()

    one = session(tmp_path, answer=once_the_other_waits, run_id="one")
    two = session(tmp_path, run_id="two", log=hears)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, one, [question("a"), question("b"), question("c")], 1, 0)
        assert claimed.wait(60)
        second = ask(two, [question("c"), question("d"), question("b")], "respond", 0)
    assert (texts(one), texts(two)) == (["a", "b", "c"], ["d"])
    assert [answer.reused for answer in second] == [True, False, True]
    assert second[0].completion == first.result()[2].completion
    assert [line.partition(";")[0] for line in logged] == ["waiting for 2 calls that the run one is making"]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=2, max_size=4))
def test_however_the_questions_of_runs_overlap_each_is_paid_for_once(chunks: list[set[int]]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("kasasagi.tasks.asking.LOOK_SECONDS", 0.01)
        runs = [session(Path(folder), run_id=f"run {number}") for number in range(len(chunks))]
        found = together([(run, [question(str(n)) for n in chunk]) for run, chunk in zip(runs, chunks, strict=True)])
        for run in runs:
            run.claims.close()
    assert sorted(text for run in runs for text in texts(run)) == sorted(str(n) for n in set[int]().union(*chunks))
    paid = [answer.question.key for answers in found for answer in answers if not answer.reused]
    assert len(paid) == len(set(paid)) == len(set[int]().union(*chunks))


def test_what_another_run_gives_up_without_an_answer_is_asked_here(tmp_path: Path) -> None:
    released, claimed = threading.Event(), threading.Event()

    def fails_for_now(one: Question) -> Completion:
        claimed.set()
        assert released.wait(60)
        return Completion(error="server_error", transient=True)

    one = session(tmp_path, answer=fails_for_now, run_id="one")
    two = session(tmp_path, run_id="two", log=lambda line: released.set())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, one, [question("a"), question("b")], 1, 0)
        assert claimed.wait(60)
        second = ask(two, [question("b")], "respond", 0)
    assert [answer.completion.error for answer in first.result()] == ["server_error"] * 2
    assert (second[0].reused, second[0].completion.error, texts(two)) == (False, None, ["b"])


def test_what_is_in_flight_when_a_run_is_stopped_is_not_asked_until_it_has_ended(tmp_path: Path) -> None:
    waits = threading.Event()

    def stopped(one: Question) -> Completion:
        raise StoppedError("stopped by a person")

    one = session(tmp_path, answer=stopped, run_id="one")
    two = session(tmp_path, run_id="two", log=lambda line: waits.set())
    with pytest.raises(StoppedError):
        ask(one, [question("a")], "respond", 0)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(ask, two, [question("a")], 1, 0)
        assert waits.wait(60)
        assert texts(two) == []
        ledger = Ledger(one.run.workspace.ledger_folder)  # what was in flight arrives while the run drains
        ledger.append([LedgerEntry(question("a").key, "small", good(question("a")))])
        ledger.close()
        one.claims.close()
        assert [answer.reused for answer in second.result()] == [True]
    assert texts(two) == []


class Hours:
    """A clock that each sleep turns on; it notes when a session looks what others have claimed, and who they are."""

    def __init__(self, waiting: Session, patch: pytest.MonkeyPatch) -> None:
        self.now, self.looks, self.names = 0.0, list[float](), list[float]()
        self.at: dict[float, Callable[[], object]] = {}
        take, newly = waiting.claims.take, waiting.claims.new_waits
        patch.setattr("kasasagi.tasks.asking.time", SimpleNamespace(sleep=self.sleep))
        patch.setattr(waiting.claims, "take", lambda keys: (self.looks.append(self.now), take(keys))[1])
        patch.setattr(waiting.claims, "new_waits", lambda keys: (self.names.append(self.now), newly(keys))[1])

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 100_000, "what the test waits for did not happen"
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()


def test_who_waits_for_hours_looks_ever_more_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = session(tmp_path, run_id="one"), session(tmp_path, run_id="two")
    one.claims.take([question("a").key])
    hours = Hours(two, monkeypatch)
    hours.at[7200.0] = one.claims.close
    ask(two, [question("a")], "respond", 0)
    assert texts(two) == ["a"]
    assert hours.looks[:4] == [0.0, 0.5, 1.0, 1.5]
    assert hours.now == hours.looks[-1] < 7200 + 20
    assert len(hours.looks) < 7200 / 12
    assert len(hours.names) < len(hours.looks) / 3


def test_a_stop_ends_a_long_wait_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise StoppedError("stopped by a person")

    one, two = session(tmp_path, run_id="one"), session(tmp_path, run_id="two")
    one.claims.take([question("a").key])
    hours = Hours(two, monkeypatch)
    hours.at[3600.0] = lambda: monkeypatch.setattr(two.dispatcher, "raise_if_stopped", stopped)
    with pytest.raises(StoppedError):
        ask(two, [question("a")], "respond", 0)
    assert hours.now == 3600.0
    assert hours.now - hours.looks[-1] > 1


def test_a_run_that_goes_on_after_a_chunk_has_failed_keeps_nobody_waiting_for_it(tmp_path: Path) -> None:
    def refuses(one: Question) -> Completion:
        if one.request["messages"][0]["content"] == "dear":
            raise BudgetSpentError("the budget is spent")
        return good(one)

    one, two = session(tmp_path, answer=refuses, run_id="one"), session(tmp_path, run_id="two")
    with pytest.raises(BudgetSpentError):
        ask(one, [question("dear")], "respond", 0)
    ask(one, [question("cheap")], "respond", 0)
    ask(two, [question("dear")], "respond", 0)
    assert texts(two) == ["dear"]


def asking_until_killed(folder: Path, here: Connection) -> None:
    def hangs(one: Question) -> Completion:
        here.send("asked")
        here.recv()
        return good(one)

    ask(session(folder, answer=hangs, run_id="one"), [question("a"), question("b")], "respond", 0)


def test_what_a_killed_run_was_asking_for_is_asked_here(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=asking_until_killed, args=(tmp_path, theirs), daemon=True)
    child.start()
    assert ours.poll(60)
    two = session(tmp_path, run_id="two", log=lambda line: child.kill())
    answers = ask(two, [question("b"), question("c")], "respond", 0)
    child.join()
    assert [answer.reused for answer in answers] == [False, False]
    assert texts(two) == ["c", "b"]


def test_a_call_keeps_its_words_and_what_it_cost() -> None:
    models = {"small": model("small", usd_per_million_tokens={"input": 1.0, "output": 2.0})}
    completion = Completion("鵲", finish_reason="stop", prompt_tokens=1000, completion_tokens=500, attempts=3)
    row = call_row(models, "respond", Answered(question("a"), completion, False))
    assert row["cost_usd"] == pytest.approx(0.002)
    assert (row["reply"], row["attempts"], row["stage"], row["model"]) == ("鵲", 3, "respond", "small")
    assert '"content":"a"' in row["request"]
    failed = call_row(models, "respond", Answered(question("a"), Completion(error="x", detail="why"), True))
    assert (failed["reply"], failed["error"], failed["cost_usd"], failed["reused"]) == ("why", "x", 0.0, True)


def result(rows_in: int, out: int, aside: int, **fields: Any) -> ChunkResult:
    quarantine = [quarantine_row("respond", f"q{n}", "empty", None, {"a": "鵲"}) for n in range(aside)]
    return ChunkResult(rows_in, out, {"quarantine": quarantine, "responses": []}, **fields)


def test_an_account_that_does_not_close_is_refused(tmp_path: Path) -> None:
    one = session(tmp_path)
    job = ChunkJob(stage="respond", run="run", cache_key="")
    handle = keep_chunk(one.run, one.models, job, result(5, 3, 2), 0.0)
    assert handle.account.model_copy(update={"seconds": 0.0}) == Account(rows_in=5, rows_out=3, quarantined=2)
    assert list(handle.shards) == ["quarantine"]
    with pytest.raises(ValueError, match="does not close"):
        keep_chunk(one.run, one.models, job, result(5, 2, 2), 0.0)


def test_a_chunk_with_a_passing_failure_is_incomplete(tmp_path: Path) -> None:
    failed = [Answered(question("a"), Completion(error="time_out", transient=True), False)]
    lasting = [Answered(question("a"), Completion(error="context_too_long"), False)]
    assert not result(1, 0, 1, answered=failed).complete
    assert result(1, 0, 1, answered=lasting).complete


def test_a_chunk_is_stale_once_the_ledger_disagrees_about_its_failures(tmp_path: Path) -> None:
    faults = {text: Completion(error=text) for text in ("context_too_long", "refused_by_server")}
    questions = [question(text) for text in (*faults, "good")]

    def fails(one: Question) -> Completion:
        return faults.get(one.request["messages"][0]["content"], good(one))

    one = session(tmp_path, answer=fails)
    answered = ask(one, questions, "respond", 0)
    handle = keep_chunk(
        one.run, one.models, ChunkJob(stage="respond", run="run", cache_key=""), result(1, 0, 1, answered=answered), 0.0
    )
    assert not is_stale(one, handle)
    assert not is_stale(session(tmp_path, run_id="b", ask_again=frozenset({"other"})), handle)
    wished = session(tmp_path, run_id="c", ask_again=frozenset({"context_too_long"}))
    assert is_stale(wished, handle)
    answers = ask(wished, questions, "respond", 0)
    assert [answer.reused for answer in answers] == [False, True, True]
    assert is_stale(one, handle)


def test_a_chunk_without_failures_is_never_stale(tmp_path: Path) -> None:
    one = session(tmp_path, ask_again=frozenset({"context_too_long"}))
    job = ChunkJob(stage="respond", run="run", cache_key="")
    answered = ask(one, [question("a")], "respond", 0)
    assert not is_stale(one, keep_chunk(one.run, one.models, job, result(1, 0, 1, answered=answered), 0.0))
    assert not is_stale(one, keep_chunk(one.run, one.models, job, result(1, 0, 1), 0.0))


def test_no_shard_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(session(tmp_path).run, None) == []
