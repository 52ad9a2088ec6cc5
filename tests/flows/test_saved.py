"""Endpoints saved in Prefect as blocks: recipes name them, and the key stays in them."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.model import LoadedRecipe, check_recipe
from kasasagi.flows.recipe.saved_endpoints import with_saved_blocks

KEY = "a key that nobody may write down"


def loaded(**changes: Any) -> LoadedRecipe:
    """A recipe whose judge names a block."""
    data = {
        "name": "saved",
        "source": {"kind": "dataset", "path": "prompts.jsonl"},
        "models": {
            "small": {"kind": "bundled"},
            "critic": {"kind": "openai", "model": "critic", "block": "my-critic", **changes},
        },
        "respond": {"models": ["small"], "samples": 2},
        "judge": {"model": "critic"},
    }
    return LoadedRecipe(recipe=check_recipe(data, Path()), base=Path())


@pytest.fixture
def saved(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from kasasagi.blocks.saved import ModelEndpoint

    monkeypatch.setenv("KASASAGI_KEY_MY_CRITIC", "")
    block = ModelEndpoint(base_url="http://127.0.0.1:9/v1", api_key=KEY)
    block.save("my-critic", overwrite=True)


@pytest.mark.usefixtures("saved")
def test_a_block_gives_the_address_and_the_key_and_neither_is_written() -> None:
    before = loaded()
    recipe = asyncio.run(with_saved_blocks(before)).recipe
    critic = recipe.models["critic"]
    assert isinstance(critic, OpenAIModel)
    assert critic.base_url == "http://127.0.0.1:9/v1"
    assert os.environ[critic.key_variable() or ""] == KEY
    assert KEY not in str(recipe.plain())
    assert critic.known_as() == "critic", "the ledger's key does not depend on where the model is asked"


@pytest.mark.usefixtures("saved")
def test_what_stands_in_the_recipe_wins() -> None:
    changes = {"base_url": "http://127.0.0.1:10/v1", "api_key_env": "MY_OWN_KEY"}
    critic = asyncio.run(with_saved_blocks(loaded(**changes))).recipe.models["critic"]
    assert isinstance(critic, OpenAIModel)
    assert critic.base_url == changes["base_url"]
    assert critic.api_key_env == "MY_OWN_KEY"


@pytest.mark.usefixtures("saved")
def test_a_block_that_nobody_saved_is_said_in_one_sentence() -> None:
    with pytest.raises(RecipeError, match=r"models\.critic\.block: Prefect knows no .*'nowhere'"):
        asyncio.run(with_saved_blocks(loaded(block="nowhere")))


def test_a_block_says_what_it_is_for() -> None:
    from kasasagi.blocks.saved import ModelEndpoint

    assert ModelEndpoint.get_description()
    assert "block: my-critic" in (ModelEndpoint.get_code_example() or "")
    assert "api_key" in str(ModelEndpoint.model_json_schema())
    required = ModelEndpoint.model_json_schema()["required"]
    assert required == ["base_url"], "a block whose fields are all optional breaks deployments"
