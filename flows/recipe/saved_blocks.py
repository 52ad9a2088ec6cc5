"""The blocks saved in Prefect that recipes and runs name: endpoints, budgets, a workspace; fetched at a run's begin."""

import os
import re
from typing import TYPE_CHECKING, TypeVar

from kasasagi.blocks.configuration import Budget
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe

if TYPE_CHECKING:
    from prefect.blocks.core import Block

    B = TypeVar("B", bound=Block)

BLOCK = "block:"
"""What stands before the name of a saved workspace, where a folder could stand."""


def names_blocks(loaded: LoadedRecipe) -> bool:
    """Return whether a recipe names a saved block."""
    models = [model for model in loaded.recipe.models.values() if isinstance(model, OpenAIModel)]
    budgets = [loaded.recipe.budget, *(model.budget for model in models)]
    return any(model.block for model in models) or any(budget.block for budget in budgets)


async def with_saved_blocks(loaded: LoadedRecipe) -> LoadedRecipe:
    """Return the recipe with what its blocks hold; keys go into this process's environment and nowhere else.

    Raises:
        RecipeError: Prefect knows no such block.
    """
    if not names_blocks(loaded):
        return loaded
    models = {label: await _model(label, model) for label, model in loaded.recipe.models.items()}
    budget = await _budget("budget", loaded.recipe.budget)
    return loaded.model_copy(update={"recipe": loaded.recipe.model_copy(update={"models": models, "budget": budget})})


async def saved_workspace(name: str) -> Workspace:
    """Return the workspace that a run names: a folder, or block:NAME of one that is saved. Raises RecipeError."""
    from kasasagi.blocks.saved import WorkspaceFolder

    if not name.startswith(BLOCK):
        return Workspace.resolve(name or None)
    return Workspace.resolve((await _load_block("workspace", WorkspaceFolder, name.removeprefix(BLOCK))).folder)


async def _model(label: str, model: ModelConfig) -> ModelConfig:
    if not isinstance(model, OpenAIModel):
        return model
    filled = await _with_endpoint(label, model, model.block) if model.block else model
    return filled.model_copy(update={"budget": await _budget(f"models.{label}.budget", filled.budget)})


async def _budget(place: str, budget: Budget) -> Budget:
    """Return a budget with what its block holds, under what stands in the recipe."""
    from kasasagi.blocks.saved import SpendingLimit

    if not budget.block:
        return budget
    block = await _load_block(f"{place}.block", SpendingLimit, budget.block)
    limits = {"usd": block.usd, "tokens": block.tokens, "calls": block.calls}
    return Budget.model_validate({**limits, **budget.model_dump(exclude_unset=True)})


async def _with_endpoint(label: str, model: OpenAIModel, name: str) -> OpenAIModel:
    from kasasagi.blocks.saved import ModelEndpoint

    block = await _load_block(f"models.{label}.block", ModelEndpoint, name)
    changes = {} if "base_url" in model.model_fields_set else {"base_url": block.base_url}
    variable = f"KASASAGI_KEY_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"
    # A recipe as a run keeps it names that variable already, and another process that resumes it has no such one.
    if block.api_key is not None and model.api_key_env in (None, variable):
        os.environ[variable] = block.api_key.get_secret_value()
        changes["api_key_env"] = variable
    # Read again, so that an address is held against the same rules as one that stands in a recipe.
    return OpenAIModel.model_validate({**model.model_dump(exclude_unset=True), **changes})


async def _load_block(place: str, kind: "type[B]", name: str) -> "B":
    """Return a saved block. Raises RecipeError."""
    try:
        block: B = await kind.aload(name)
    except ValueError as error:
        raise RecipeError(
            f"{place}: Prefect knows no {kind.get_block_type_slug()} {name!r}: make it on the page's Blocks, "
            "after prefect block register --module kasasagi.blocks.saved"
        ) from error
    return block
