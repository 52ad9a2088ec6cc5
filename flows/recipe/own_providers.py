"""Providers of a user's own, which a recipe names by a dotted path: what they say stands in place of the name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kasasagi.blocks.models.providers import PROVIDERS
from kasasagi.blocks.own.python import OwnPythonError, is_own
from kasasagi.flows.recipe.errors import RecipeError


def with_own_providers(data: Mapping[str, Any], base: Path) -> Mapping[str, Any]:
    """Return a recipe's data with the keys that its own providers give; what a model says itself goes before them.

    Args:
        data: The recipe as plain data.
        base: Its folder, where the providers' files lie.

    Raises:
        RecipeError: A provider cannot be loaded, or gives no keys.
    """
    models = data.get("models")
    if not isinstance(models, Mapping):
        return data
    filled = {label: _fill_from_provider(f"models.{label}", one, base) for label, one in models.items()}
    return {**data, "models": filled}


def _fill_from_provider(place: str, model: Any, base: Path) -> Any:
    name = model.get("provider") if isinstance(model, Mapping) else None
    if not isinstance(name, str) or not is_own(name):
        return model
    try:
        keys = dict(PROVIDERS.find(name, base)(str(model.get("model", ""))))
    except OwnPythonError as error:
        raise RecipeError(f"{place}.provider: {error}") from error
    except Exception as error:
        raise RecipeError(
            f"{place}.provider: {name!r} gives no keys of a model ({type(error).__name__}: {error}); it returns a "
            "mapping such as {'base_url': 'https://models.example/v1', 'api_key_env': 'EXAMPLE_KEY'}"
        ) from error
    return {**keys, **{key: value for key, value in model.items() if key != "provider"}}
