"""Recipes that name endpoints saved in Prefect: their addresses and keys, fetched when a run begins."""

import os
import re

from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.model import LoadedRecipe


def names_blocks(loaded: LoadedRecipe) -> bool:
    """Whether a model of the recipe names a saved block."""
    return any(isinstance(model, OpenAIModel) and model.block for model in loaded.recipe.models.values())


async def with_saved_blocks(loaded: LoadedRecipe) -> LoadedRecipe:
    """The recipe with the addresses that its blocks hold; keys go into this process's environment and nowhere else.

    Raises RecipeError where Prefect knows no such block.
    """
    if not names_blocks(loaded):
        return loaded
    models = dict(loaded.recipe.models)
    for label, model in models.items():
        if isinstance(model, OpenAIModel) and model.block:
            models[label] = await _filled_in(label, model, model.block)
    return loaded.model_copy(update={"recipe": loaded.recipe.model_copy(update={"models": models})})


async def _filled_in(label: str, model: OpenAIModel, name: str) -> OpenAIModel:
    from kasasagi.blocks.saved import ModelEndpoint

    try:
        block: ModelEndpoint = await ModelEndpoint.aload(name)
    except ValueError as error:
        raise RecipeError(
            f"models.{label}.block: Prefect knows no kasasagi-model-endpoint {name!r}: make it on the page's Blocks, "
            "after prefect block register --module kasasagi.blocks.saved"
        ) from error
    changes = {} if "base_url" in model.model_fields_set else {"base_url": block.base_url}
    variable = f"KASASAGI_KEY_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"
    # A recipe as a run keeps it names that variable already, and another process that goes on with it has no such one.
    if block.api_key is not None and model.api_key_env in (None, variable):
        os.environ[variable] = block.api_key.get_secret_value()
        changes["api_key_env"] = variable
    # Read again, so that an address is held against the same rules as one that stands in a recipe.
    return OpenAIModel.model_validate({**model.model_dump(exclude_unset=True), **changes})
