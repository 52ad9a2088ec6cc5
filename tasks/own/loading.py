"""How a stage of a user's own is found in its file."""

from pathlib import Path
from typing import Any

from kasasagi.blocks.own.python import OwnPythonError, own_object
from kasasagi.tasks.own.config import OwnStage
from kasasagi.tasks.own.writing import OwnFunction


def own_function(entry: OwnStage, base: Path) -> tuple[OwnFunction, Any]:
    """Return the function of an own stage and its settings.

    Raises:
        OwnPythonError: The function cannot be loaded, or was not made a stage.
        ValidationError: The settings are not those that it declares.
    """
    function = own_object(entry.use, base)
    if not isinstance(function, OwnFunction):
        raise OwnPythonError(f"{entry.use!r} is not a stage: put @stage(...) of kasasagi above its function")
    return function, function.settings.model_validate(entry.settings)
