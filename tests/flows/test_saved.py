"""Endpoints saved in Prefect as blocks: recipes name them, and the key stays in them."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.configuration import Budget
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe
from kasasagi.flows.recipe.saved_blocks import saved_workspace, with_saved_blocks

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
def saved(prefect_server: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from kasasagi.blocks.saved import ModelEndpoint, SpendingLimit, WorkspaceFolder

    monkeypatch.setenv("KASASAGI_KEY_MY_CRITIC", "")
    block = ModelEndpoint(base_url="http://127.0.0.1:9/v1", api_key=KEY)
    block.save("my-critic", overwrite=True)
    SpendingLimit(usd=20, calls=500).save("nightly", overwrite=True)
    WorkspaceFolder(folder=str(tmp_path / "team")).save("team", overwrite=True)


@pytest.mark.usefixtures("saved")
def test_a_block_gives_the_address_and_the_key_and_neither_is_written() -> None:
    before = loaded()
    recipe = asyncio.run(with_saved_blocks(before)).recipe
    critic = recipe.models["critic"]
    assert isinstance(critic, OpenAIModel)
    assert critic.base_url == "http://127.0.0.1:9/v1"
    assert os.environ[critic.key_variable() or ""] == KEY
    assert KEY not in str(recipe.plain())
    assert critic.ledger_identity() == "critic", "the ledger's key does not depend on where the model is asked"


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


@pytest.mark.usefixtures("saved")
def test_a_saved_budget_holds_where_the_recipe_says_nothing() -> None:
    before = loaded(budget={"block": "nightly", "tokens": 9})
    of_run = before.recipe.model_copy(update={"budget": Budget(block="nightly", usd=5)})
    recipe = asyncio.run(with_saved_blocks(before.model_copy(update={"recipe": of_run}))).recipe
    assert (recipe.budget.usd, recipe.budget.calls, recipe.budget.tokens) == (5, 500, None)
    critic = recipe.models["critic"]
    assert isinstance(critic, OpenAIModel)
    assert (critic.budget.usd, critic.budget.calls, critic.budget.tokens) == (20, 500, 9)
    missing = before.recipe.model_copy(update={"budget": Budget(block="weekly")})
    with pytest.raises(RecipeError, match=r"budget\.block: Prefect knows no kasasagi-budget 'weekly'"):
        asyncio.run(with_saved_blocks(before.model_copy(update={"recipe": missing})))


@pytest.mark.usefixtures("saved")
def test_a_run_may_name_a_saved_workspace(tmp_path: Path) -> None:
    assert asyncio.run(saved_workspace("block:team")).folder == tmp_path / "team"
    assert asyncio.run(saved_workspace("elsewhere")).folder == Path("elsewhere").absolute()
    with pytest.raises(RecipeError, match="workspace: Prefect knows no kasasagi-workspace 'nobody'"):
        asyncio.run(saved_workspace("block:nobody"))


def test_a_block_says_what_it_is_for() -> None:
    from kasasagi.blocks.saved import ModelEndpoint

    assert ModelEndpoint.get_description()
    assert "block: my-critic" in (ModelEndpoint.get_code_example() or "")
    assert "api_key" in str(ModelEndpoint.model_json_schema())
    required = ModelEndpoint.model_json_schema()["required"]
    assert required == ["base_url"], "a block whose fields are all optional breaks deployments"
