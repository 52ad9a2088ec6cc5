"""How the ratings of responses become one number each: as the recipe says, in a mix as the recipe of each part says."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
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
    if not is_mix(recipe):
        return _combine_for(recipe)
    parts = {one["part"]: _combine_for(one["about"]["recipe"]) for one in parts_in(tables)}

    def combine(responses: Rows, ratings: Rows) -> dict[str, list[Candidate]]:
        some, verdicts = defaultdict[str, list[Mapping[str, Any]]](list), list(ratings)
        for row in responses:
            some[row["model"].partition("/")[0]].append(row)
        return {
            prompt: candidates
            for part, rows in some.items()
            for prompt, candidates in parts[part](rows, _own_verdicts(part, rows, verdicts)).items()
        }

    return combine


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
