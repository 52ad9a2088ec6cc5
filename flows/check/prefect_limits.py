"""Check Prefect's limits before a run: is there a server that outlives it, and does it have them."""

import asyncio
import os
from collections.abc import Callable

from kasasagi.blocks.hints import command
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.flows.recipe.loading import LoadedRecipe


def named_limits(loaded: LoadedRecipe) -> dict[str, str]:
    """Return the global concurrency limits that a recipe's models name, by the model's label."""
    models = loaded.recipe.models.items()
    return {
        label: model.prefect_limit for label, model in models if isinstance(model, OpenAIModel) and model.prefect_limit
    }


def limits_without_server(loaded: LoadedRecipe) -> list[str]:
    """Return one sentence for each limit that no lasting server could keep.

    A run without PREFECT_API_URL starts a server for itself alone. That server shares its database with others, but
    its leases end with it and nobody collects them, so that slots of a killed run would stay lost.
    """
    if os.environ.get("PREFECT_API_URL"):
        return []
    return [
        f"models.{label}.prefect_limit: {name!r} needs a Prefect server that outlives the run, and PREFECT_API_URL "
        f"names none; start one with {command('serve', 'ui')} and set PREFECT_API_URL to the address that it prints, "
        "or remove prefect_limit"
        for label, name in named_limits(loaded).items()
    ]


def check_limits(loaded: LoadedRecipe, log: Callable[[str], None]) -> list[str]:
    """Ask Prefect for each limit that a recipe names; gives a sentence for each that cannot be used."""
    if not (named := named_limits(loaded)):
        return []
    return limits_without_server(loaded) or asyncio.run(_check_all(named, log))


async def _check_all(named: dict[str, str], log: Callable[[str], None]) -> list[str]:
    from kasasagi.blocks.dispatch.limits.shared_limit import LimitError
    from kasasagi.blocks.dispatch.prefect_slots import PrefectSlots

    slots, problems = PrefectSlots(), list[str]()
    for label, name in named.items():
        try:
            log(f"{label}: Prefect's limit {name!r} has {await slots.size(name):,} slots")
        except LimitError as error:
            problems.append(f"models.{label}.prefect_limit: {error}")
    await slots.close()
    return problems
