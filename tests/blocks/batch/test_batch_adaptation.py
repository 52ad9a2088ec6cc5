"""A model that is asked in batches and does not take every parameter: its refusals change the next batch."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from kasasagi.blocks.dispatch.dispatcher import Dispatcher, StoppedError
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import dispatching, model, question, until

REFUSALS = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0.8. Only the default (1) value is supported.",
}
SAMPLING = {"temperature": 0.8, "max_tokens": 64}
ASKED = [question(f"question {number}", temperature=0.8, max_tokens=64) for number in range(5)]


def result(key: str, status: int, body: dict[str, Any]) -> bytes:
    response = {"status_code": status, "request_id": "r", "body": body}
    return orjson.dumps({"id": "1", "custom_id": key, "response": response, "error": None}) + b"\n"


def answered(key: str, body: dict[str, Any]) -> bytes:
    """The line of a reasoning model of OpenAI's for one request."""
    refused = next((name for name in REFUSALS if name in body), None)
    if refused is not None:
        return result(key, 400, {"error": {"message": REFUSALS[refused], "param": refused, "code": "unsupported"}})
    choice = {"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
    return result(key, 200, {"choices": [choice], "usage": {}})


class Folder:
    """Answers the batches that are laid into a folder, until the answers are there."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.batches: list[list[dict[str, Any]]] = []

    def serve(self, asking: threading.Thread) -> None:
        def is_over() -> bool:
            self.answer_all()
            return not asking.is_alive()

        until(is_over, seconds=60)

    def answer_all(self) -> None:
        for file in self._place.glob("*.jsonl"):
            output = file.with_name(f"{file.stem}.results.jsonl")
            if not file.name.endswith(".results.jsonl") and not output.exists():
                self._answer(file, output)

    def _answer(self, file: Path, output: Path) -> None:
        rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
        self.batches.append([row["body"] for row in rows])
        output.with_suffix(".new").write_bytes(b"".join(answered(row["custom_id"], row["body"]) for row in rows))
        output.with_suffix(".new").rename(output)


def ask(folder: Path, served: Folder, place: Path) -> tuple[list[Completion], list[str]]:
    """The answers to five questions, and what was logged."""
    answers: list[Completion] = []
    lines: list[str] = []
    with dispatching(folder, {"small": batched(place)}) as dispatcher:
        dispatcher.log = lines.append
        thread = threading.Thread(target=lambda: answers.extend(dispatcher.ask(ASKED)))
        thread.start()
        served.serve(thread)
    return answers, lines


def ask_in_vain(dispatcher: Dispatcher) -> None:
    with suppress(StoppedError):
        dispatcher.ask(ASKED)


def batched(place: Path) -> OpenAIModel:
    return model("http://127.0.0.1:1/v1", batch={"gather_s": 0.05, "poll_s": 0.02, "folder": str(place)})


def test_refused_parameters_are_left_out_of_the_next_batch(tmp_path: Path, quick: None) -> None:
    served = Folder(tmp_path / "files")
    answers, lines = ask(tmp_path / "ledger", served, tmp_path / "files")
    assert [(one.error, one.text) for one in answers] == [(None, "Yes.")] * 5
    assert [len(batch) for batch in served.batches] == [5, 5, 5]
    sent = served.batches[-1][0]
    assert {name: sent.get(name) for name in (*SAMPLING, "max_completion_tokens")} == {
        "temperature": None,
        "max_tokens": None,
        "max_completion_tokens": 64,
    }
    notes = [line for line in lines if "does not accept" in line]
    assert len(notes) == 2
    assert "max_completion_tokens is sent instead" in notes[0]


def test_a_refusal_in_a_batch_of_an_earlier_run_is_no_lasting_failure(tmp_path: Path, quick: None) -> None:
    place = tmp_path / "files"
    with dispatching(tmp_path / "ledger", {"small": batched(place)}) as dispatcher:
        asking = threading.Thread(target=ask_in_vain, args=(dispatcher,))
        asking.start()
        until(lambda: bool(list(place.glob("*.jsonl"))))
    asking.join(30)
    served = Folder(place)
    served.answer_all()
    answers, _ = ask(tmp_path / "ledger", served, place)
    assert [(one.error, one.text) for one in answers] == [(None, "Yes.")] * 5
