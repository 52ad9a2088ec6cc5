"""Reward models on a vLLM server: hina's weights with a head that gives one number, through /classify and /score."""

import json
import math
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.engines import process_watch
from kasasagi.blocks.engines.vllm_server import SERVED
from kasasagi.blocks.engines.vllm_server import command as serving
from kasasagi.blocks.models.kinds import RewardModel
from tests.blocks.helpers import dispatching
from tests.e2e.command import Command, until
from tests.vllm.conftest import START_S, WEIGHTS, model

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

RAW = {"use_activation": False}
TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 12 + 7?"}]
ANSWERS = ["12 + 7 = 19.", "18.", "The capital of France is Paris."]


@dataclass(frozen=True)
class Scorer:
    """A model that gives a number, as transformers has it, and the address of the server that has the same weights."""

    model: Any
    tokenizer: Any
    address: str

    def number(self, tokens: list[int]) -> float:
        import torch

        with torch.no_grad():
            return float(self.model(torch.tensor([tokens])).logits[0, 0])

    def of_chat(self, answer: str) -> float:
        turns = [*TALK, {"role": "assistant", "content": answer}]
        return self.number(self.tokenizer.encode(self.tokenizer.apply_chat_template(turns, tokenize=False)))

    def of_texts(self, prompt: str, answer: str) -> float:
        return self.number(self.tokenizer(prompt, answer)["input_ids"])


def save_weights(folder: Path) -> tuple[Any, Any]:
    """hina with a head for one number, drawn at random, beside her tokenizer."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    made = AutoModelForSequenceClassification.from_pretrained(WEIGHTS, num_labels=1, dtype=torch.float32)
    torch.nn.init.normal_(made.score.weight, std=0.2)
    made.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(WEIGHTS / name, folder)
    return made.eval(), AutoTokenizer.from_pretrained(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    folder = tmp_path_factory.mktemp("scorer")
    made, tokenizer = save_weights(folder)
    config = model(model=str(folder), dtype="float32", engine={"enforce_eager": True, "runner": "pooling"})
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        server = process_watch.start_guarded(serving(config, port), stdout=log, stderr=subprocess.STDOUT)
        try:
            until(lambda: answers(address) or server.poll() is not None, "the server answers", START_S)
            assert server.poll() is None, (folder / "server.log").read_text(errors="replace")[-4000:]
            yield Scorer(made, tokenizer, address)
        finally:
            process_watch.end(server)


def reward(scorer: Scorer, **fields: Any) -> RewardModel:
    return RewardModel.model_validate({"kind": "reward", "model": SERVED, "base_url": scorer.address, **fields})


def numbers(folder: Path, config: RewardModel, prompt: list[dict[str, str]]) -> list[float]:
    asked = []
    for answer in ANSWERS:
        request = {"messages": [*prompt, {"role": "assistant", "content": answer}], **config.extra_body}
        asked.append(Question("scorer", ledger_key(config.ledger_identity(), request, 0), request))
    with dispatching(folder, {"scorer": config}) as dispatcher:
        found = dispatcher.ask(asked)
    assert [one.error for one in found] == [None] * len(ANSWERS)
    assert all(one.prompt_tokens > 5 for one in found)
    return [float(one.text) for one in found]


def test_classify_gives_the_number_of_the_whole_conversation(scorer: Scorer, tmp_path: Path) -> None:
    truth = [scorer.of_chat(answer) for answer in ANSWERS]
    assert max(truth) - min(truth) > 0.1
    raw = numbers(tmp_path / "raw", reward(scorer, extra_body=RAW), TALK)
    assert raw == pytest.approx(truth, abs=1e-2)
    shares = numbers(tmp_path / "shares", reward(scorer), TALK)
    assert shares == pytest.approx([1 / (1 + math.exp(-one)) for one in truth], abs=1e-2)


def test_score_gives_the_number_of_the_prompt_and_the_response(scorer: Scorer, tmp_path: Path) -> None:
    prompt = "\n".join(turn["content"] for turn in TALK)
    truth = [scorer.of_texts(prompt, answer) for answer in ANSWERS]
    assert max(truth) - min(truth) > 0.1
    assert numbers(tmp_path, reward(scorer, path="/score", extra_body=RAW), TALK) == pytest.approx(truth, abs=1e-2)


def test_a_recipe_is_checked_with_a_real_request(scorer: Scorer, tmp_path: Path, command: Command) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([{"messages": TALK, "answers": ANSWERS}]))
    served = {"kind": "reward", "model": SERVED, "base_url": scorer.address, "extra_body": RAW}
    recipe = {
        "name": "rewards",
        "source": {"kind": "dataset", "path": "rows.json", "responses": {"all": "answers"}},
        "models": {"scorer": served},
        "judge": {"model": "scorer", "method": "reward"},
        "publish": {"path": "out"},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command("check", "recipe.yaml", "--ping").succeeded()
