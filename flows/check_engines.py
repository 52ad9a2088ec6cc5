"""What `kasasagi check` says of the models that we run ourselves."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from blocks.models import VLLMModel
from blocks.vllm_config import MISSING


def check_vllm(label: str, model: VLLMModel, said: Callable[[str], None]) -> list[str]:
    """What is wrong with a model on vLLM, without loading it."""
    place, how = f"models.{label}", "a vLLM server that we start" if model.serve else "vLLM in this process"
    folder = Path(model.model).expanduser()
    if model.command and model.serve and which(model.command[0]) is None:
        return [f"{place}.command: there is no command {model.command[0]!r}: correct its path"]
    if not (model.command and model.serve) and find_spec("vllm") is None:
        return [f"{place}: {MISSING}"]
    if not folder.is_dir() and (model.model.startswith((".", "/", "~")) or model.model.count("/") != 1):
        return [f"{place}.model: {model.model!r} is neither a folder nor an id on the Hub: correct it"]
    said(f"{label}: {model.model} on {how}")
    return []
