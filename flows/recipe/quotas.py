"""Checks that a recipe's quotas leave room for its target; otherwise it would draw and pay without result."""

from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.tags.labels import LABELS


def quota_problems(recipe: Recipe) -> list[str]:
    """Return a sentence where `select` lets fewer prompts pass than the source's target."""
    source, quotas = recipe.source, recipe.select
    if not isinstance(source, MagpieSource) or source.target is None or quotas is None:
        return []
    most = quotas.most(_values(recipe, source))
    if most is None or most >= source.target:
        return []
    kinds = f" for each {' and '.join(quotas.per)}" if quotas.per else ""
    return [
        f"select.limit: with {quotas.limit:,}{kinds} at most {most:,} prompts pass, and source.target is "
        f"{source.target:,}: raise the limit, lower the target, or say with source.samples how many to draw from"
    ]


def _values(recipe: Recipe, source: MagpieSource) -> dict[str, int]:
    """Return how many values the columns have of which that is known beforehand."""
    tags, grid = recipe.tags, source.grid
    values = {f"{tags.prefix}{kind}": len(LABELS[kind]) for kind in tags.kinds} if tags else {}
    values |= {"wanted_language": len(source.languages)} if source.languages else {}
    sampled = {"temperature": grid.temperature, "top_p": grid.top_p} if grid else {}
    return values | {name: len(set(choices)) or 1 for name, choices in sampled.items()}
