"""What `kasasagi check` says of the models that we run ourselves, and of one that is to invent instructions."""

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from blocks.models import OpenAIModel, VLLMModel, missing_key
from blocks.openai_endpoint import OpenAIEndpoint
from blocks.vllm_config import FOLDERS, MISSING
from flows.recipe import LoadedRecipe
from tasks.pre_query import pre_query
from tasks.synthesize import MagpieSource, first_system, with_stops

PROBE_TOKENS = 32
# What an assistant says to an empty turn, and no user does.
GREETING = re.compile(
    r"how (can|may) i (help|assist)|what can i (do|help)|i.m here to (help|assist)|your message (seems|appears|is)"
    r"|お手伝い(でき|しま|いた)|ご用件|ご質問(が|は)ござい",
    re.I,
)
INSTEAD = (
    "Magpie goes on from a text that stands before the user's words: serve the model where /v1/completions takes such "
    "a text as it is (vllm serve, llama.cpp), use kind: vllm, or load instructions as a dataset"
)


def check_vllm(label: str, model: VLLMModel, base: Path, said: Callable[[str], None]) -> list[str]:
    """What is wrong with a model on vLLM, without loading it; base is the recipe's folder."""
    model = model.located(base)
    place, how = f"models.{label}", "a vLLM server that we start" if model.serve else "vLLM in this process"
    if model.command and model.serve and which(model.command[0]) is None:
        return [f"{place}.command: there is no command {model.command[0]!r}: correct its path"]
    if not (model.command and model.serve) and find_spec("vllm") is None:
        return [f"{place}: {MISSING}"]
    if lost := [name for name in FOLDERS if _is_lost(getattr(model, name))]:
        return [
            f"{place}.{name}: {getattr(model, name)!r} is neither a folder (beside the recipe or here) nor an id on "
            "the Hub: correct it"
            for name in lost
        ]
    said(f"{label}: {model.model} on {how}")
    return []


def _is_lost(name: str | None) -> bool:
    """Whether a name can only be that of a folder, and there is none."""
    if name is None or Path(name).expanduser().is_dir():
        return False
    return name.startswith((".", "/", "~")) or name.count("/") != 1


async def check_magpie(loaded: LoadedRecipe, said: Callable[[str], None]) -> list[str]:
    """Whether a server goes on from a text: it is asked for a few tokens, since chat-only servers look alike.

    Gives a sentence where it cannot. A server that does not answer at all is another check's matter.
    """
    source = loaded.recipe.source
    model = loaded.recipe.models[source.model] if isinstance(source, MagpieSource) else None
    if not isinstance(source, MagpieSource) or not isinstance(model, OpenAIModel) or missing_key(model):
        return []
    begins = pre_query(source.template, model, None, loaded.base)
    asked = {"prompt": begins.prompt(first_system(source), steer=source.steer or ""), "max_tokens": PROBE_TOKENS}
    endpoint = OpenAIEndpoint.connect(model, model.addresses[0])
    try:
        found = await endpoint.complete({**with_stops(asked, begins.stops()), **model.extra_body})
    finally:
        await endpoint.close()
    place = f"source.model: {source.model!r} at {model.addresses[0]}"
    if found.error in ("not_found", "rejected_by_server"):
        return [f"{place} cannot go on from a text ({found.detail}); {INSTEAD}"]
    if GREETING.search(found.text):
        return [f"{place} greets ({found.text[:60]!r}), so it puts a chat template around every prompt; {INSTEAD}"]
    if found.error is None:
        said(f"{source.model}: invents {found.text.strip()[:80]!r}")
    return []
