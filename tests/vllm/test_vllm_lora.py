"""LoRA adapters on real vLLM: in process and on a server they answer as weights into which they are merged by hand."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.engines.kinds import engines_for
from kasasagi.blocks.models.kinds import ModelConfig
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import dispatching, question
from tests.vllm.conftest import WEIGHTS, model

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

RANK, ALPHA = 32, 48
MODULES = ("q_proj", "v_proj")
CONFIG = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "r": RANK,
    "lora_alpha": ALPHA,
    "target_modules": list(MODULES),
    "bias": "none",
}


def weights() -> dict[str, Any]:
    """hina's own, as float32."""
    from safetensors.torch import load_file

    return {name: one.float() for name, one in load_file(WEIGHTS / "model.safetensors").items()}


def write(folder: Path, file: str, tensors: dict[str, Any], **configurations: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / file, metadata={"format": "pt"})
    for name, fields in configurations.items():
        (folder / f"{name}.json").write_text(json.dumps(fields))


def write_adapter_and_merged(adapter: Path, merged: Path) -> None:
    """An adapter drawn at random, as PEFT keeps it, and hina's weights with what it adds to them."""
    import torch

    random = torch.Generator().manual_seed(0)
    whole, parts = weights(), {}
    for name in [name for name in whole if name.split(".")[-2] in MODULES]:
        outward, inward = whole[name].shape
        down = torch.randn(RANK, inward, generator=random) * 0.1
        up = torch.randn(outward, RANK, generator=random) * 0.1
        whole[name] += ALPHA / RANK * up @ down
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        parts |= {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up}
    write(adapter, "adapter_model.safetensors", parts, adapter_config=CONFIG)
    shutil.copytree(WEIGHTS, merged)
    described = json.loads((WEIGHTS / "config.json").read_text())
    write(merged, "model.safetensors", whole, config={**described, "torch_dtype": "float32"})


def test_an_adapter_beside_the_recipe_answers_as_weights_it_is_merged_into(tmp_path: Path) -> None:
    write_adapter_and_merged(tmp_path / "adapter", tmp_path / "merged")
    models: dict[str, ModelConfig] = {
        "plain": model(dtype="float32"),
        "merged": model(dtype="float32", model="merged"),
        "adapted": model(dtype="float32", lora="adapter"),
        "served": model(dtype="float32", lora="adapter", serve=True),
    }
    engines = engines_for(models, tmp_path / "logs", tmp_path)
    with dispatching(tmp_path / "ws", models, engines) as dispatcher:

        def answers(label: str) -> list[str]:
            asked = [question(f"What is {number} + 7?", label, temperature=0, max_tokens=24) for number in range(1, 21)]
            found: list[Completion] = dispatcher.ask(asked)
            assert [one.error for one in found] == [None] * len(asked)
            return [one.text for one in found]

        replies = {label: answers(label) for label in models}
    assert replies["plain"] != replies["adapted"]
    assert replies["adapted"] == replies["merged"]
    assert replies["served"] == replies["merged"]
    assert engines["adapted"].identity() == engines["served"].identity() != engines["plain"].identity()
