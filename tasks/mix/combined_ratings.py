"""How the ratings of responses become one number each: as the recipe says, in a mix as the recipe of each part says."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from duckdb import DuckDBPyConnection

from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.votes import candidates_by_prompt
from kasasagi.tasks.mix.about import is_mix, parts_in
from kasasagi.tasks.pairing.candidates import Candidate

Rows = Iterable[Mapping[str, Any]]
CombineRatings = Callable[[Rows, Rows], dict[str, list[Candidate]]]
"""Returns the responses to each prompt with their ratings, from rows of `responses` and `ratings`."""


def combine_ratings_for(tables: DuckDBPyConnection, recipe: Mapping[str, Any]) -> CombineRatings:
    """Return how the ratings of a run become one number each.

    Args:
        tables: The tables of the run.
        recipe: Its recipe as plain data.
    """
    return _combine_run(recipe, parts_in(tables))


def _combine_run(recipe: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> CombineRatings:
    """Return how the ratings of a run become one number each; parts are those of a mix, which may be mixes too."""
    if not is_mix(recipe):
        return _combine_for(recipe)
    by_part = {one["part"]: _combine_run(one["about"]["recipe"], one["about"]["parts"]) for one in parts}
    return partial(_combine_parts, by_part)


def _combine_parts(by_part: Mapping[str, CombineRatings], responses: Rows, ratings: Rows) -> dict[str, list[Candidate]]:
    """Return the responses of all parts with their ratings; within a part, models have the names that it gives them."""
    some, verdicts = defaultdict[str, list[Mapping[str, Any]]](list), list(ratings)
    for row in responses:
        part, _, model = row["model"].partition("/")
        some[part].append({**row, "model": model})
    return {
        prompt: [replace(one, model=f"{part}/{one.model}") for one in candidates]
        for part, rows in some.items()
        for prompt, candidates in by_part[part](rows, _own_verdicts(part, rows, verdicts)).items()
    }


def _own_verdicts(part: str, responses: Rows, ratings: Rows) -> list[dict[str, Any]]:
    """Return the ratings of some responses of a part, with the judges named as in its recipe."""
    here = {row["response_id"] for row in responses}
    return [
        {**row, "judge": row["judge"] and row["judge"].removeprefix(f"{part}/")}
        for row in ratings
        if row["response_id"] in here
    ]


def _combine_for(recipe: Mapping[str, Any]) -> CombineRatings:
    judge = JudgeConfig.model_validate(recipe["judge"]) if recipe.get("judge") else None
    aggregation = PairsConfig.model_validate(recipe.get("pairs") or {}).aggregation()
    return lambda responses, ratings: candidates_by_prompt(judge, aggregation, responses, ratings)
