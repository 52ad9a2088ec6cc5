"""Checks of targets: that quotas leave room for them, and that a higher target of pairs would only add pairs."""

from kasasagi.tasks.filter.deferred_conditions import split_where
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


def pair_target_problems(recipe: Recipe) -> list[str]:
    """Return a sentence for each setting with which more prompts would do more than add prompts."""
    source = recipe.source
    if recipe.pairs.target is None or not isinstance(source, MagpieSource):
        return []
    problems = []
    if source.samples is not None:
        problems.append(
            "source.samples: pairs.target counts prompts and not draws; write the most prompts as source.target instead"
        )
    if recipe.rewrite is not None:
        problems.append(
            "rewrite: rewrites follow all prompts, and pairs.target lets a model go on inventing them; publish the "
            "instructions first, and use them as a dataset"
        )
    if recipe.select is not None and recipe.select.order_by:
        problems.append(
            "select.order_by: with pairs.target later prompts would take the places of earlier ones; leave it out"
        )
    if far := split_where(recipe.filter.where, [recipe.neighbor_columns])[1]:
        problems.append(
            f"filter.where.{next(iter(far))}: with pairs.target the nearest prompt of each changes while more are "
            "invented; use semantic.duplicates, in which the earlier prompt wins"
        )
    return problems


def _values(recipe: Recipe, source: MagpieSource) -> dict[str, int]:
    """Return how many values the columns have of which that is known beforehand."""
    tags, grid = recipe.tags, source.grid
    values = {f"{tags.prefix}{kind}": len(LABELS[kind]) for kind in tags.kinds} if tags else {}
    values |= {"wanted_language": len(source.languages)} if source.languages else {}
    sampled = {"temperature": grid.temperature, "top_p": grid.top_p} if grid else {}
    return values | {name: len(set(choices)) or 1 for name, choices in sampled.items()}
