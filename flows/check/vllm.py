"""What `kasasagi check` says of models on vLLM, without loading them."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from kasasagi.blocks.models.kinds import VLLMModel
from kasasagi.blocks.models.vllm_config import FOLDERS, MISSING


def describe_vllm(label: str, model: VLLMModel, base: Path, log: Callable[[str], None]) -> None:
    """Say how a model on vLLM would be asked; base is the recipe's folder."""
    model = model.with_resolved_folders(base)
    how = "a vLLM server that we start" if model.serve else "vLLM in this process"
    log(f"{label}: {model.model} on {how}")


def vllm_problems(label: str, model: VLLMModel, base: Path) -> list[str]:
    """Return what is wrong with a model on vLLM, without loading it; base is the recipe's folder."""
    model = model.with_resolved_folders(base)
    place = f"models.{label}"
    if model.command and model.serve and which(model.command[0]) is None:
        return [f"{place}.command: there is no command {model.command[0]!r}: correct its path"]
    if not (model.command and model.serve) and find_spec("vllm") is None:
        return [f"{place}: {MISSING}"]
    return [
        f"{place}.{name}: {getattr(model, name)!r} is neither a folder (next to the recipe or here) nor an id on "
        "the Hub: correct it"
        for name in FOLDERS
        if _is_lost(getattr(model, name))
    ]


def _is_lost(name: str | None) -> bool:
    """Return whether a name can only be that of a folder, and there is none."""
    if name is None or Path(name).expanduser().is_dir():
        return False
    return name.startswith((".", "/", "~")) or name.count("/") != 1
