"""Models on vLLM: what the ledger knows them by, what the engine is started with, and what may not be given twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.engines.kinds import engines_for
from kasasagi.blocks.engines.vllm import VLLMEngine
from kasasagi.blocks.models.kinds import ModelConfig, VLLMModel


def model(name: str = "some/model", **fields: Any) -> VLLMModel:
    return VLLMModel.model_validate({"kind": "vllm", "model": name, **fields})


def test_a_model_of_the_hub_is_known_by_its_name_and_what_changes_its_answers() -> None:
    assert model().ledger_identity() == "some/model"
    assert model(revision="v2", quantization="fp8", lora="me/mine").ledger_identity() == "some/model@v2+fp8+me/mine"
    assert model(identity="mine").ledger_identity() == "mine"
    assert model(tensor_parallel_size=4, devices="0,1", serve=True).ledger_identity() == "some/model"


def test_a_folder_is_known_by_its_weights_wherever_it_lies(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place / "mine").mkdir(parents=True)
        (tmp_path / place / "mine" / "model.safetensors").write_bytes(b"weights" * 1000)
    here, there = (model(str(tmp_path / place / "mine")) for place in ("here", "there"))
    assert here.ledger_identity() == there.ledger_identity()
    assert here.ledger_identity().startswith("mine@")
    (tmp_path / "there" / "mine" / "model.safetensors").write_bytes(b"weightz" * 1000)
    assert here.ledger_identity() != there.ledger_identity()


def test_a_folder_beside_the_recipe_is_found_from_wherever_the_run_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("recipes/mine", "recipes/adapter", "elsewhere/theirs"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "model.safetensors").write_bytes(folder.encode())
    monkeypatch.chdir(tmp_path / "elsewhere")
    base = tmp_path / "recipes"
    models: dict[str, ModelConfig] = {
        "beside": model("./mine", lora="adapter", tokenizer="mine"),
        "here": model("theirs", lora="me/adapter"),
        "hub": model("some/model"),
    }
    engines = engines_for(models, tmp_path, base)
    found = {label: engine.model for label, engine in engines.items() if isinstance(engine, VLLMEngine)}
    beside = found["beside"]
    assert (beside.model, beside.lora, beside.tokenizer) == (str(base / "mine"), str(base / "adapter"), beside.model)
    assert engines["beside"].identity().startswith("mine@")
    assert engines["here"].identity() == f"{model(str(Path('theirs').resolve())).ledger_identity()}+me/adapter"
    assert (found["here"].model, found["here"].lora) == ("theirs", "me/adapter")
    assert engines["hub"].identity() == "some/model"


def test_engine_arguments_are_those_that_are_set_and_the_seed_is_fresh() -> None:
    given = model(dtype="bfloat16", max_num_seqs=1000, enable_prefix_caching=True, engine={"enforce_eager": True})
    seeds = {given.arguments().pop("seed") for _ in range(3)}
    assert len(seeds) == 3
    assert {name: value for name, value in given.arguments().items() if name != "seed"} == {
        "dtype": "bfloat16",
        "max_num_seqs": 1000,
        "enable_prefix_caching": True,
        "enforce_eager": True,
    }
    assert model(engine={"seed": 3}).arguments() == {"seed": 3}
    assert model(lora="x").arguments()["enable_lora"] is True
    assert given.batch_size == 2000


@pytest.mark.parametrize(
    ("written", "room"),
    [
        ({"r": 8}, None),
        ({"r": 16, "rank_pattern": {}}, None),
        ({"r": 17}, 32),
        ({"r": 8, "rank_pattern": {"q_proj": 64}}, 64),
        ({"r": 1000}, 512),
        ({"r": None}, None),
        ({}, None),
        ([], None),
    ],
)
def test_an_adapter_gets_the_room_that_its_rank_asks_for(tmp_path: Path, written: Any, room: int | None) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(written))
    adapted = model(lora=str(tmp_path))
    assert adapted.arguments().get("max_lora_rank") == room
    assert adapted.arguments()["enable_lora"] is True
    own = model(lora=str(tmp_path), engine={"max_lora_rank": 256})
    assert own.arguments()["max_lora_rank"] == 256


def test_an_adapter_that_is_elsewhere_or_broken_is_vllms_own_matter(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{")
    for name in (str(tmp_path), "me/mine"):
        assert "max_lora_rank" not in model(lora=name).arguments()


@pytest.mark.parametrize(
    ("engine", "words"),
    [({"dtype": "half"}, "'dtype' stands beside engine"), ({"port": 1}, "'port' is set by kasasagi itself")],
)
def test_an_argument_has_one_place(engine: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model(engine=engine)


def test_models_that_differ_in_sampling_alone_share_an_engine(tmp_path: Path) -> None:
    models: dict[str, ModelConfig] = {
        "cold": model(sampling={"temperature": 0}),
        "hot": model(sampling={"temperature": 1}),
        "long": model(max_model_len=9),
        "served": model(serve=True),
    }
    engines = engines_for(models, tmp_path)
    assert engines["cold"] is engines["hot"]
    assert len({id(engine) for engine in engines.values()}) == 3


def test_adapters_that_differ_in_their_scale_alone_are_two(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"the same weights")
    known = set()
    for alpha in (16, 32):
        (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 8, "lora_alpha": alpha}), encoding="utf-8")
        known.add(model(lora=str(tmp_path)).ledger_identity())
    assert len(known) == 2
