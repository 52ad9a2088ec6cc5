"""Another limit on the length of answers: only what was cut off, or does not fit any more, is asked again."""

import multiprocessing
import sqlite3
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson
import pytest

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.ledger.store import FILE_NAME
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.upkeep.ledger_care import import_ledger, prune
from kasasagi.tasks.asking import ChunkJob, ChunkResult, Session, ask, call_row, keep_chunk, known_answers
from tests.tasks.helpers import asked, model, session

COUNT, CUT = 1_000, 100


def question(text: str, limit: int | None, label: str = "small", **fields: Any) -> Question:
    request = {"messages": [{"role": "user", "content": text}], "temperature": 0.8, **fields}
    return Question.of(label, label, request if limit is None else {**request, "max_tokens": limit})


def tokens_of(text: str) -> int:
    return int(text.partition(" ")[0])


def answer(one: Question) -> Completion:
    """A text of as many tokens as its question begins with, unless its limit is lower."""
    text = one.request["messages"][-1]["content"]
    wanted, limit = tokens_of(text), one.request.get("max_tokens", 10_000)
    how = "stop" if wanted <= limit else "length"
    return Completion(text=f"{one.key}: {text}", finish_reason=how, completion_tokens=min(wanted, limit))


def questions(limit: int | None, count: int = COUNT) -> list[Question]:
    """Every tenth needs 300 tokens, the others 50 at most."""
    every = COUNT // CUT
    return [question(f"{300 if n % every == 0 else n % 50 + 1} tokens {n}", limit) for n in range(count)]


def answered_by(folder: Path, some: Sequence[Question], run_id: str) -> tuple[list[str], int]:
    """The texts that came, and how many were asked for."""
    one = session(folder, answer=answer, run_id=run_id)
    found = ask(one, some, "respond", 0)
    one.claims.close()
    return [answer.completion.text for answer in found], len(asked(one))


def test_of_a_thousand_answers_the_hundred_that_were_cut_off_are_asked_again(tmp_path: Path) -> None:
    first, _ = answered_by(tmp_path, questions(100), "first")
    plan = session(tmp_path, run_id="plan")
    assert len(known_answers(plan, questions(400))) == COUNT - CUT
    longer, sent = answered_by(tmp_path, questions(400), "longer")
    assert sent == CUT
    assert sum(one != other for one, other in zip(first, longer, strict=True)) == CUT
    assert answered_by(tmp_path, questions(400), "again") == (longer, 0)
    assert answered_by(tmp_path, questions(100), "back") == (first, 0)


def asking_until_killed(folder: Path, here: Connection) -> None:
    def hangs(one: Question) -> Completion:
        here.send(one.key)
        if len(asked(longer)) > 40:
            here.recv()
        return answer(one)

    longer: Session = session(folder, answer=hangs, run_id="killed")
    for start in range(0, COUNT, 100):
        ask(longer, questions(400)[start : start + 100], "respond", start)


def test_a_killed_run_with_a_higher_limit_pays_for_no_answer_twice(tmp_path: Path) -> None:
    answered_by(tmp_path, questions(100), "first")
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=asking_until_killed, args=(tmp_path, theirs), daemon=True)
    child.start()
    for _ in range(41):  # four chunks are kept, and the fifth waits for its first answer
        assert ours.poll(60)
        ours.recv()
    child.kill()
    child.join()
    _, rest = answered_by(tmp_path, questions(400), "rest")
    assert rest == CUT - 40


def test_a_lower_limit_keeps_what_fits_it(tmp_path: Path) -> None:
    answered_by(tmp_path, questions(400, 100), "first")
    shorter, sent = answered_by(tmp_path, questions(25, 100), "shorter")
    assert sent == sum(tokens_of(one.request["messages"][0]["content"]) > 25 for one in questions(25, 100))
    assert answered_by(tmp_path, questions(25, 100), "again") == (shorter, 0)


def test_without_a_limit_and_from_none_the_same_holds(tmp_path: Path) -> None:
    answered_by(tmp_path, questions(100, 100), "first")
    assert answered_by(tmp_path, questions(None, 100), "none")[1] == 10
    assert answered_by(tmp_path, questions(299, 100), "some")[1] == 10
    assert answered_by(tmp_path, questions(300, 100), "enough")[1] == 0


def test_of_several_answers_that_fit_that_of_the_highest_limit_counts(tmp_path: Path) -> None:
    def ends(one: Question) -> Completion:
        return Completion(one.key, finish_reason="stop", completion_tokens=one.request["max_tokens"] - 1)

    for limit in (400, 200, 100):
        ask(session(tmp_path, answer=ends, run_id=f"with {limit}"), [question("one", limit)], "respond", 0)
    for limit, given in ((500, 400), (300, 200), (150, 100)):
        found = known_answers(session(tmp_path, run_id=f"plan {limit}"), [question("one", limit)])
        assert [one.text for one in found.values()] == [question("one", given).key]


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        (Completion("a", finish_reason="length", completion_tokens=100), False),
        (Completion("a", finish_reason="content_filter", completion_tokens=9), False),
        (Completion("a", finish_reason=None, completion_tokens=9), True),
        (Completion("a", finish_reason=None, completion_tokens=100), False),
        (Completion("a", finish_reason=None), False),
        (Completion("a", finish_reason="stop"), True),
        (Completion(error="context_too_long", detail="too long"), False),
    ],
)
def test_only_an_answer_that_surely_ended_by_itself_is_kept(tmp_path: Path, before: Completion, kept: bool) -> None:
    ask(session(tmp_path, answer=lambda one: before), [question("9 tokens", 100)], "respond", 0)
    assert answered_by(tmp_path, [question("9 tokens", 200)], "longer")[1] == (0 if kept else 1)


def test_an_answer_of_unknown_length_does_not_fit_a_lower_limit(tmp_path: Path) -> None:
    ask(
        session(tmp_path, answer=lambda one: Completion("a", finish_reason="stop")),
        [question("9 tokens", 100)],
        "respond",
        0,
    )
    assert answered_by(tmp_path, [question("9 tokens", 99)], "shorter")[1] == 1


def test_what_differs_in_more_than_the_limit_is_asked(tmp_path: Path) -> None:
    answered_by(tmp_path, [question("9 tokens", 100)], "first")
    others = [
        question("9 tokens", 200, temperature=0.5),
        question("9 words", 200),
        question("9 tokens", 200, label="large"),
        Question.of("small", "small", question("9 tokens", 200).request, 1),
        Question.of("small", "small", question("9 tokens", 200).request, 0, 1),
    ]
    for number, one in enumerate(others):
        assert answered_by(tmp_path, [one], f"other {number}")[1] == 1


def test_questions_that_differ_in_their_limits_alone_have_answers_of_their_own(tmp_path: Path) -> None:
    models = {name: model("small") for name in ("short", "long")}
    both = [question("9 tokens", 100, "short"), question("9 tokens", 200, "long")]
    both = [Question.of(one.label, "small", one.request) for one in both]
    one = session(tmp_path, models, answer)
    assert len({answer.completion.text for answer in ask(one, both, "respond", 0)}) == 2
    raised = [both[0], Question.of("long", "small", {**both[1].request, "max_tokens": 400})]
    two = session(tmp_path, models, answer, "raised")
    assert len({answer.completion.text for answer in ask(two, raised, "respond", 0)}) == 2
    assert [one.label for one in asked(two)] == ["long"]


def test_a_call_says_with_which_limit_it_was_sent(tmp_path: Path) -> None:
    first = session(tmp_path, answer=answer)
    before = call_row(first.models, "respond", ask(first, [question("9 tokens", 100)], "respond", 0)[0])
    longer = session(tmp_path, answer=answer, run_id="longer")
    after = call_row(longer.models, "respond", ask(longer, [question("9 tokens", 200)], "respond", 0)[0])
    assert after == {**before, "reused": True}
    assert orjson.loads(after["request"])["max_tokens"] == 100


def test_a_limit_under_the_newer_name_counts_too(tmp_path: Path) -> None:
    named = [question("9 tokens", None, max_completion_tokens=limit) for limit in (100, 200, 5)]
    answered_by(tmp_path, named[:1], "first")
    assert [answered_by(tmp_path, [one], f"with {n}")[1] for n, one in enumerate(named[1:])] == [0, 1]


def as_older_version(folder: Path, run: str, recipe: dict[str, Any]) -> None:
    """Make a ledger what a version wrote that recorded no limits, with a run of that recipe."""
    with sqlite3.connect(folder / "ledger" / FILE_NAME) as connection:
        connection.execute("DROP TABLE limits")
    connection.close()
    (folder / "runs" / run / "recipe.json").write_bytes(orjson.dumps(recipe))


@pytest.mark.parametrize(
    "recipe",
    [
        {"respond": {"sampling": {"max_tokens": 100}}},
        {"respond": {"models": [{"use": "small", "sampling": {"max_tokens": 100}}]}, "pairs": {"max_tokens": {}}},
        {"models": {"small": {"sampling": {"max_tokens": 100}}}},
    ],
)
def test_a_ledger_of_an_older_version_is_searched_by_the_limits_of_its_runs(tmp_path: Path, recipe: Any) -> None:
    answered_by(tmp_path, questions(100, 50), "first")
    as_older_version(tmp_path, "first", recipe)
    assert answered_by(tmp_path, questions(400, 50), "longer")[1] == 5


def test_a_ledger_of_an_older_version_is_searched_by_the_defaults_of_its_stages(tmp_path: Path) -> None:
    answered_by(tmp_path, questions(256, 50), "first")
    as_older_version(tmp_path, "first", {})
    assert answered_by(tmp_path, questions(400, 50), "longer")[1] == 5


def test_a_ledger_of_an_older_version_is_searched_whatever_is_asked_of_it_first(tmp_path: Path) -> None:
    answered_by(tmp_path, questions(100, 50), "first")
    as_older_version(tmp_path, "first", {"respond": {"sampling": {"max_tokens": 100}}})
    vector = session(tmp_path, answer=lambda one: Completion("AAAA"), run_id="vector")
    ask(vector, [Question.of("large", "large", {"input": "a text"})], "semantic", 0)
    vector.claims.close()
    assert answered_by(tmp_path, questions(400, 50), "longer")[1] == 5


@pytest.mark.parametrize("of_older_version", [False, True])
def test_imported_answers_are_found_under_another_limit(tmp_path: Path, of_older_version: bool) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    answered_by(theirs, questions(100, 50), "first")
    if of_older_version:
        as_older_version(theirs, "first", {"respond": {"sampling": {"max_tokens": 100}}})
    import_ledger(Workspace(ours), theirs)
    assert answered_by(ours, questions(400, 50), "longer")[1] == 5


def test_pruning_the_run_that_paid_leaves_what_a_run_with_a_higher_limit_uses(tmp_path: Path) -> None:
    for limit, run in ((100, "first"), (400, "longer")):
        one = session(tmp_path, answer=answer, run_id=run)
        some = ask(one, questions(limit, 50), "respond", 0)
        job = ChunkJob(stage="respond", run=run, cache_key="")
        one.run.add(keep_chunk(one.run, one.models, job, ChunkResult(0, 0, {}, some), 0.0), reused=False)
        one.run.save(one.run.state().model_copy(update={"status": "done"}))
        one.claims.close()
    assert prune(Workspace(tmp_path), None, "first", dry_run=False).entries == 5
    assert answered_by(tmp_path, questions(400, 50), "again")[1] == 0


@pytest.mark.parametrize("damaged", ["{", "[]", "7"])
def test_a_limit_that_is_damaged_hides_no_other_one(tmp_path: Path, damaged: str) -> None:
    answered_by(tmp_path, questions(100, 20), "first")
    with sqlite3.connect(Workspace(tmp_path).ledger_folder / FILE_NAME) as ledger:
        ledger.execute("INSERT INTO limits (model, fields) VALUES ('small', ?)", (damaged,))
    _, sent = answered_by(tmp_path, questions(400, 20), "longer")
    assert sent == 2
