"""Real vLLM on the CPU with hina's weights: `make test-vllm` runs these in an environment of their own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.engines.bundled import shipped_model
from kasasagi.blocks.models.kinds import VLLMModel
from tests.e2e.command import Command

WEIGHTS = shipped_model().parent / "hf"
START_S = 900.0


def hina(**fields: Any) -> dict[str, Any]:
    """hina on vLLM, as a recipe has it."""
    model = {"kind": "vllm", "model": str(WEIGHTS), "dtype": "bfloat16", "max_model_len": 2048, "max_num_seqs": 64}
    return {**model, "engine": {"enforce_eager": True}, **fields}


def model(**fields: Any) -> VLLMModel:
    """hina on vLLM."""
    return VLLMModel.model_validate(hina(**fields))


@pytest.fixture(scope="session", autouse=True)
def room_for_the_cache() -> Iterator[None]:
    """vLLM on a CPU takes all memory that it is not kept from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        yield


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """`kasasagi` in a folder of its own."""
    environment = {"KASASAGI_WORKSPACE": str(tmp_path / "ws"), "DO_NOT_TRACK": "1"}
    made = Command(tmp_path, environment)
    yield made
    made.stop()
