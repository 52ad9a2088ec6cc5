"""What a recipe that mixes runs may not say, and what it does unless it says otherwise."""

from typing import Any, TypeVar

from kasasagi.tasks.mix.config import NEAR

Mixed = TypeVar("Mixed", bound=Any)
OF_CALLS = (
    "models",
    "tags",
    "semantic",
    "select",
    "rewrite",
    "stages",
    "respond",
    "judge",
    "pairs",
    "budget",
    "runtime",
)
"""Parts of a recipe that are about calls or about making pairs, which a mix does not."""


def mix_problems(recipe: Any) -> list[str]:
    """Return one sentence for each setting that a recipe which mixes runs cannot have; none for other recipes."""
    if not recipe.mixes:
        return []
    problems = [
        f"{name}: this has no effect, since source.kind: runs mixes pairs that are finished; leave it out"
        for name in OF_CALLS
        if name in recipe.model_fields_set and _is_set(recipe, name)
    ]
    dedup = recipe.filter.dedup
    if not dedup.exact:
        problems.append("filter.dedup.exact: false would leave a prompt in two parts of the mix; leave it out")
    if "near" in dedup.model_fields_set and dedup.near is None:
        problems.append(
            "filter.dedup.near: false would leave near duplicates on both sides of a split; write 1 to remove only "
            "texts that are equal but for letter width and blanks"
        )
    known = [*recipe.source.parts, "source"]
    problems += [
        f"publish.licenses: {name!r} is no part of the mix; name a part"
        for name in recipe.publish.licenses
        if name not in known
    ]
    return problems


def _is_set(recipe: Any, name: str) -> bool:
    """Return whether a part of a recipe differs from its default."""
    return bool(getattr(recipe, name)) and getattr(recipe, name) != type(recipe).model_fields[name].get_default()


def with_near_duplicates(recipe: Mixed) -> Mixed:
    """Return a recipe that mixes runs with its near duplicates removed, unless it says from which likeness on."""
    dedup = recipe.filter.dedup
    if not recipe.mixes or "near" in dedup.model_fields_set:
        return recipe
    dedup = dedup.model_copy(update={"near": NEAR})
    changed: Mixed = recipe.model_copy(update={"filter": recipe.filter.model_copy(update={"dedup": dedup})})
    return changed
