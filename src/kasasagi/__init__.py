"""Preference datasets for DPO from language models, made by a Prefect flow."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kasasagi.blocks.models.kinds import Config
    from kasasagi.flows.run.calling import open_run
    from kasasagi.flows.runner import run_recipe
    from kasasagi.flows.try_stage import try_stage
    from kasasagi.tasks.own.writing import Ask, RejectError, stage
    from kasasagi.tasks.parsing import UnreadableError

__all__ = ["Ask", "Config", "RejectError", "UnreadableError", "open_run", "run_recipe", "stage", "try_stage"]
_MODULES = {
    "Ask": "kasasagi.tasks.own.writing",
    "Config": "kasasagi.blocks.models.kinds",
    "RejectError": "kasasagi.tasks.own.writing",
    "UnreadableError": "kasasagi.tasks.parsing",
    "open_run": "kasasagi.flows.run.calling",
    "run_recipe": "kasasagi.flows.runner",
    "stage": "kasasagi.tasks.own.writing",
    "try_stage": "kasasagi.flows.try_stage",
}
"""The module of each public name; it is imported on first use, so that `import kasasagi` stays light."""

if not TYPE_CHECKING:  # type checkers would accept any name of a module that has __getattr__

    def __getattr__(name: str) -> Any:
        """Return a public name of kasasagi."""
        if name not in _MODULES:
            raise AttributeError(f"module 'kasasagi' has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)
