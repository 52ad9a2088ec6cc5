"""Models in this process: asked in batches, and an end of the run where they fail."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.dispatch.lanes import EngineLane, Job
from kasasagi.blocks.models.kinds import BundledModel
from kasasagi.blocks.models.llm import Completion, Request
from tests.blocks.helpers import (
    dispatching,
    questions,
)


class Parrot:
    """An engine that says what it was asked, and counts its batches."""

    batch_size = 8

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.batches: list[int] = []

    def identity(self) -> str:
        return "parrot@1"

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.batches.append(len(requests))
        if self.fault == "raises":
            raise RuntimeError("out of memory")
        answers = [Completion(text=request["messages"][0]["content"], completion_tokens=2) for request in requests]
        return answers[:-1] if self.fault == "short" else answers


def bundled(**fields: Any) -> BundledModel:
    return BundledModel.model_validate({"kind": "bundled", **fields})


def test_an_engine_is_asked_in_batches_and_shared_by_its_labels(tmp_path: Path) -> None:
    parrot = Parrot()
    models = {"one": bundled(usd_per_million_tokens={"output": 500_000}), "two": bundled()}
    with dispatching(tmp_path, models, {"one": parrot, "two": parrot}) as dispatcher:
        answers = dispatcher.ask([*questions(20, "one", "a"), *questions(12, "two", "b")])
        assert dispatcher.counters.cost_usd == pytest.approx(20)
        assert dispatcher.engine("one") is parrot
    assert [answer.text for answer in answers] == [f"a {n}" for n in range(20)] + [f"b {n}" for n in range(12)]
    assert Counter(parrot.batches) == {8: 4}


class RecordingCallbacks:
    """Callbacks of a lane that record the answers."""

    counters: Any = None

    def __init__(self) -> None:
        self.settled: list[str] = []

    def settle(self, job: Job, completion: Completion, address: str | None = None) -> None:
        self.settled.append(completion.text)

    def record_attempt(self, job: Job, completion: Completion) -> None:
        raise AssertionError(completion.error)

    def retry(self, *jobs: Job) -> None:
        raise AssertionError(jobs)

    def report_unusable(self, label: str, why: str, address: str | None = None) -> None:
        raise AssertionError(why)


def test_a_release_amid_a_batch_begins_no_second_one_beside_it() -> None:
    async def batches_begun() -> list[int]:
        loop, callbacks, parrot = asyncio.get_running_loop(), RecordingCallbacks(), Parrot()
        begun: list[tuple[list[Request], asyncio.Future[list[Completion]]]] = []

        def begin(executor: None, work: object, requests: list[Request]) -> "asyncio.Future[list[Completion]]":
            begun.append((requests, loop.create_future()))
            return begun[-1][1]

        loop.run_in_executor = begin  # type: ignore[method-assign,assignment]
        lane = EngineLane(callbacks, parrot)
        for one in questions(20, "one"):
            lane.push(Job(one.label, one.key, one.request, 0, 0))
        await asyncio.sleep(0)
        lane.held = True
        lane.release()
        assert (len(begun), lane.in_flight) == (1, 8)
        while len(callbacks.settled) < 20:
            requests, answers = begun[-1]
            answers.set_result(parrot.generate(requests))
            await asyncio.sleep(0)
        return parrot.batches

    assert asyncio.run(batches_begun()) == [8, 8, 4]


@pytest.mark.parametrize(("fault", "message"), [("raises", "RuntimeError: out of memory"), ("short", "7 answers to 8")])
def test_an_engine_that_fails_ends_the_run(tmp_path: Path, fault: str, message: str) -> None:
    with (
        dispatching(tmp_path, {"one": bundled()}, {"one": Parrot(fault)}) as dispatcher,
        pytest.raises(ModelUnusableError, match=message),
    ):
        dispatcher.ask(questions(20, "one"))
