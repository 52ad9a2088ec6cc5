"""What `kasasagi check` says of the models that we run ourselves, and of one that is to invent instructions."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from kasasagi.blocks.endpoints.failures import INSTEAD
from kasasagi.blocks.endpoints.reward import endpoint_of
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel, missing_key
from kasasagi.blocks.models.pre_query import PreQuery
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.tasks.converse.dialogue import EXAMPLE, begins_for, next_prompt
from kasasagi.tasks.converse.plan import dialogues
from kasasagi.tasks.pre_query import pre_query
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.stops import with_stops
from kasasagi.tasks.synthesize.templates import first_system

PROBE_TOKENS = 32
# What an assistant says to an empty turn, and no user does.
GREETING = re.compile(
    r"how (can|may) i (help|assist)|what can i (do|help)|i.m here to (help|assist)|your message (seems|appears|is)"
    r"|お手伝い(でき|しま|いた)|ご用件|ご質問(が|は)ござい",
    re.I,
)


async def check_magpie(loaded: LoadedRecipe, log: Callable[[str], None]) -> list[str]:
    """Return whether the servers of models that play the user continue a text: chat-only servers look alike until
    asked.

    Gives a sentence for each that cannot. A server that does not answer at all is another check's matter.
    """
    problems = [await _check_one(loaded, *one, log) for one in _inventors(loaded)]
    return [problem for problem in problems if problem is not None]


def _inventors(loaded: LoadedRecipe) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the models behind endpoints that invent or play the user: the recipe's key, the label, and a
    small request.
    """
    source, models = loaded.recipe.source, loaded.recipe.models
    if isinstance(source, MagpieSource) and _is_asked(models[source.model]):
        begins = pre_query(source.template, models[source.model], None, loaded.base)
        prompt = begins.prompt(first_system(source), steer=source.steer or "")
        yield "source.model", source.model, _small(prompt, begins)
    plan = dialogues(source)
    known = source.model if isinstance(source, MagpieSource) else None
    if plan is not None and plan.model != known and _is_asked(models[plan.model]):
        begins = begins_for(plan, models[plan.model], None, loaded.base)
        yield "source.turns.model", plan.model, _small(next_prompt(begins, plan, EXAMPLE), begins)


def _is_asked(model: ModelConfig) -> bool:
    return isinstance(model, OpenAIModel) and not missing_key(model)


def _small(prompt: str | list[int], begins: PreQuery) -> dict[str, Any]:
    return with_stops({"prompt": prompt, "max_tokens": PROBE_TOKENS}, begins.stops())


async def _check_one(
    loaded: LoadedRecipe, key: str, label: str, request: dict[str, Any], log: Callable[[str], None]
) -> str | None:
    model = loaded.recipe.models[label]
    if not isinstance(model, OpenAIModel):
        return None
    endpoint = endpoint_of(model, model.addresses[0])
    try:
        found = await endpoint.complete({**request, **model.extra_body})
    finally:
        await endpoint.close()
    place = f"{key}: {label!r} at {model.addresses[0]}"
    if found.error == "not_found":
        return f"{place} cannot continue a text: {found.detail}"
    if found.error == "rejected_by_server":
        return f"{place} cannot continue a text: {found.detail}; {INSTEAD}"
    if GREETING.search(found.text):
        return f"{place} greets ({found.text[:60]!r}), so it puts a chat template around every prompt; {INSTEAD}"
    if found.error is None:
        log(f"{label}: invents {found.text.strip()[:80]!r}")
    return None
