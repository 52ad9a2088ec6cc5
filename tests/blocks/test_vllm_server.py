"""A server that we start: it answers, is gone when we are done, and tells its last words when it breaks."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.engines.vllm_server import VLLMServer, arguments
from kasasagi.blocks.models.kinds import VLLMModel
from tests.blocks.helpers import dispatching, kept, question, questions

FAKE = (sys.executable, str(Path(__file__).parents[1] / "fake_vllm.py"))


def model(name: str = "some/model", **fields: Any) -> VLLMModel:
    wanted = {"kind": "vllm", "model": name, "serve": True, "command": FAKE, **fields}
    return VLLMModel.model_validate(wanted)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    left = [one for one in psutil.Process().children(recursive=True) if one.pid not in before]
    assert [one for one in left if "fake_vllm" in " ".join(one.cmdline())] == []


def test_it_is_started_asked_and_stopped_and_its_log_is_kept(tmp_path: Path) -> None:
    one = model(max_model_len=128, enable_prefix_caching=False, engine={"rope_scaling": {"factor": 2}, "seed": 4})
    server = VLLMServer(one, tmp_path / "logs")
    asked = [*questions(20, "own"), question("draw", "own")]
    with dispatching(tmp_path, {"own": one}, {"own": server}) as dispatcher:
        answers = dispatcher.ask(asked)
    assert [answer.text for answer in answers] == [f"served: {q.request['messages'][0]['content']}" for q in asked]
    assert (answers[0].prompt_tokens, answers[0].completion_tokens) == (3, 5)
    [log] = (tmp_path / "logs").iterdir()
    command = json.loads(log.read_text().splitlines()[0])
    assert command[:2] == ["serve", "some/model"]
    assert command[2:] == arguments(one, int(command[command.index("--port") + 1]))
    for flag, value in (("--max-model-len", "128"), ("--rope-scaling", '{"factor":2}'), ("--seed", "4")):
        assert command[command.index(flag) + 1] == value
    assert "--no-enable-prefix-caching" in command


def test_its_seed_is_a_fresh_one_at_every_start() -> None:
    seeds = {tuple(arguments(model(), 1)[-8:]) for _ in range(4)}
    assert len(seeds) == 4


def test_a_server_that_does_not_start_is_said_with_its_last_words(tmp_path: Path) -> None:
    broken = model("broken")
    with (
        dispatching(tmp_path, {"own": broken}, {"own": VLLMServer(broken, tmp_path / "logs")}) as dispatcher,
        pytest.raises(
            ModelUnusableError, match=r"ended with status 1: ValueError: no such weights \(its log is .*log\)"
        ),
    ):
        dispatcher.ask(questions(1, "own"))


def test_a_start_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    slow = model("slow", start_within_s=0.5)
    with (
        dispatching(tmp_path, {"own": slow}, {"own": VLLMServer(slow, tmp_path / "logs")}) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"did not start within 0\.5 s; raise start_within_s"),
    ):
        dispatcher.ask(questions(1, "own"))


def test_a_server_that_dies_ends_the_run_with_its_last_words_and_the_next_run_goes_on(tmp_path: Path) -> None:
    one = model()
    asked = questions(5, "own")
    with dispatching(tmp_path, {"own": one}, {"own": VLLMServer(one, tmp_path / "logs")}) as dispatcher:
        dispatcher.ask(asked)
        with pytest.raises(ModelUnusableError, match="status 9: RuntimeError: the weights caught fire"):
            dispatcher.ask([question("now die", "own")])
    assert len(kept(tmp_path, asked)) == 5
    with dispatching(tmp_path, {"own": one}, {"own": VLLMServer(one, tmp_path / "logs")}) as dispatcher:
        assert dispatcher.ask([question("and live", "own")])[0].text == "served: and live"


def test_an_adapter_is_asked_by_its_own_name(tmp_path: Path) -> None:
    one = model(lora="adapters/mine")
    with dispatching(tmp_path, {"own": one}, {"own": VLLMServer(one, tmp_path / "logs")}) as dispatcher:
        assert dispatcher.ask([question("hello", "own")])[0].text == "served-lora: hello"
    assert "--enable-lora" in arguments(one, 1)
    assert "served-lora=adapters/mine" in arguments(one, 1)
