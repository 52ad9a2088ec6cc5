"""Engines that stream: each answer at once, one engine at a time on a device, and a broken one ends the run."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from kasasagi.blocks.dispatch.dispatcher import Dispatcher, ModelUnusableError
from kasasagi.blocks.engines.device_lock import DeviceLock
from kasasagi.blocks.engines.streaming import EngineFailedError, EngineThread
from kasasagi.blocks.models.kinds import ModelConfig, VLLMModel
from kasasagi.blocks.models.llm import Completion, Request
from tests.blocks.helpers import background, dispatching, errors_of, kept, questions, until


class Scripted(EngineThread):
    """An engine whose answers wait for the test, and which writes down what it does."""

    def __init__(self, device: DeviceLock, name: str = "scripted", diary: list[str] | None = None, batch_size: int = 8):
        super().__init__(device, batch_size)
        self.name = name
        self.diary = [] if diary is None else diary
        self.go = threading.Event()
        self.most = 0
        self.breaks: Exception | None = None
        self._begun: dict[str, Request] = {}
        self.held: set[str] = set()

    def identity(self) -> str:
        return self.name

    def load(self) -> None:
        self.diary.append(f"{self.name} loads")

    def unload(self) -> None:
        self._begun.clear()
        self.diary.append(f"{self.name} lets go")

    def begin(self, name: str, request: Request) -> Completion | None:
        if "refuse" in request["messages"][0]["content"]:
            return Completion(error="bad_request", detail="no")
        self._begun[name] = request
        self.most = max(self.most, len(self._begun))
        return None

    def step(self) -> Sequence[tuple[str, Completion]]:
        self.go.wait(0.01)
        if self.breaks is not None:
            raise self.breaks
        if not self.go.is_set():
            return []
        done = [name for name, one in self._begun.items() if one["messages"][0]["content"] not in self.held]
        return [(name, Completion(text=str(self._begun.pop(name)["messages"][0]["content"]))) for name in done]


MODEL: ModelConfig = VLLMModel(kind="vllm", model="some/model")


def run(folder: Path, *engines: Scripted) -> "Dispatcher":
    return Dispatcher(dict.fromkeys((one.name for one in engines), MODEL), {one.name: one for one in engines}, folder)


def test_answers_come_in_the_order_of_the_questions_and_are_kept(tmp_path: Path) -> None:
    engine = Scripted(DeviceLock())
    engine.go.set()
    asked = questions(30, "scripted")
    with dispatching(tmp_path, {"scripted": MODEL}, {"scripted": engine}) as dispatcher:
        answers = dispatcher.ask(asked)
    assert [one.text for one in answers] == [one.request["messages"][0]["content"] for one in asked]
    assert len(kept(tmp_path, asked)) == 30
    assert engine.most <= engine.batch_size
    assert engine.diary == ["scripted loads", "scripted lets go"]


def test_a_long_answer_holds_nobody_up(tmp_path: Path) -> None:
    engine = Scripted(DeviceLock())
    engine.go.set()
    asked = questions(20, "scripted")
    engine.held = {asked[0].request["messages"][0]["content"]}
    with dispatching(tmp_path, {"scripted": MODEL}, {"scripted": engine}) as dispatcher:
        thread = threading.Thread(target=dispatcher.ask, args=(asked,))
        thread.start()
        until(lambda: len(kept(tmp_path, asked)) == 19)
        assert thread.is_alive()
        engine.held = set()
        thread.join()
    assert len(kept(tmp_path, asked)) == 20


def test_a_request_that_cannot_be_begun_is_an_answer_with_a_reason(tmp_path: Path) -> None:
    engine = Scripted(DeviceLock())
    engine.go.set()
    asked = [*questions(2, "scripted"), *questions(1, "scripted", about="refuse")]
    with dispatching(tmp_path, {"scripted": MODEL}, {"scripted": engine}) as dispatcher:
        answers = dispatcher.ask(asked)
    assert [one.error for one in answers] == [None, None, "bad_request"]


@pytest.mark.parametrize(
    ("error", "words"),
    [(EngineFailedError("it broke; run again"), "it broke; run again"), (OSError("x"), "OSError: x")],
)
def test_an_engine_that_breaks_ends_the_run_with_its_words_and_the_next_run_goes_on(
    tmp_path: Path, error: Exception, words: str
) -> None:
    engine = Scripted(DeviceLock())
    asked = questions(5, "scripted")
    raised: list[BaseException] = []
    with dispatching(tmp_path, {"scripted": MODEL}, {"scripted": engine}) as dispatcher:
        thread = background(lambda: raised.extend(errors_of(dispatcher, asked)))
        until(lambda: engine.most == 5)
        engine.breaks = error
        thread.join(60)
    assert [type(one) for one in raised] == [ModelUnusableError]
    assert words in str(raised[0])
    engine.breaks = None
    engine.go.set()
    with dispatching(tmp_path, {"scripted": MODEL}, {"scripted": engine}) as dispatcher:
        assert len(dispatcher.ask(asked)) == 5
    assert engine.diary == ["scripted loads", "scripted lets go"] * 2


def test_engines_of_one_device_take_turns_and_those_of_two_do_not_wait(tmp_path: Path) -> None:
    diary: list[str] = []
    shared = DeviceLock()
    first, second = Scripted(shared, "first", diary), Scripted(shared, "second", diary)
    other = Scripted(DeviceLock(), "other", [])
    other.go.set()
    dispatcher = run(tmp_path, first, second, other)
    threads = [threading.Thread(target=dispatcher.ask, args=(questions(3, name),)) for name in ("first", "second")]
    threads[0].start()
    until(lambda: diary == ["first loads"])
    threads[1].start()
    assert len(dispatcher.ask(questions(3, "other"))) == 3
    assert diary == ["first loads"]
    first.go.set()
    second.go.set()
    for thread in threads:
        thread.join()
    dispatcher.close()
    assert diary == ["first loads", "first lets go", "second loads", "second lets go"]


def test_closing_lets_go_of_what_waits_for_a_device(tmp_path: Path) -> None:
    shared, diary = DeviceLock(), []  # type: tuple[DeviceLock, list[str]]
    first, second = Scripted(shared, "first", diary), Scripted(shared, "second", diary)
    answers: list[Completion] = []
    first.submit({"messages": [{"content": "held"}]}, answers.append)
    until(lambda: diary == ["first loads"])
    second.submit({"messages": [{"content": "waits"}]}, answers.append)
    second.close()
    first.close()
    assert [(one.error, one.transient) for one in answers] == [("stopped", True)] * 2
    assert diary == ["first loads", "first lets go"]


def test_a_hold_lets_nothing_more_begin_until_it_is_released(tmp_path: Path) -> None:
    engine = Scripted(DeviceLock(), batch_size=2)
    asked = questions(6, "scripted")
    with dispatching(tmp_path, {"scripted": MODEL}, {"scripted": engine}) as dispatcher:
        thread = background(lambda: dispatcher.ask(asked))
        until(lambda: engine.most == 2)
        dispatcher.hold()
        engine.go.set()
        until(lambda: len(kept(tmp_path, asked)) >= 2 and dispatcher.in_flight() == 0)
        assert len(kept(tmp_path, asked)) == 2
        dispatcher.release()
        thread.join(60)
        assert len(kept(tmp_path, asked)) == 6


def test_an_engine_answers_a_plain_list_of_requests_too() -> None:
    engine = Scripted(DeviceLock())
    engine.go.set()
    assert [one.text for one in engine.generate([{"messages": [{"content": str(n)}]} for n in range(9)])] == [
        str(n) for n in range(9)
    ]
    assert engine.generate([]) == []
    engine.close()


def test_equal_weights_in_engines_of_different_settings_are_asked_each_in_its_own(tmp_path: Path) -> None:
    first, second = Scripted(DeviceLock(), "same"), Scripted(DeviceLock(), "same")
    first.go.set()
    second.go.set()
    models: dict[str, ModelConfig] = {"first": MODEL, "second": MODEL}
    with dispatching(tmp_path, models, {"first": first, "second": second}) as dispatcher:
        dispatcher.ask(questions(3, "first"))
        dispatcher.ask(questions(3, "second", about="other"))
    assert first.diary == second.diary == ["same loads", "same lets go"]
