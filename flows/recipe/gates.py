"""Problems of the expectations that a recipe adds or changes."""

from pathlib import Path

import pyarrow as pa

from kasasagi.flows.recipe.errors import shown
from kasasagi.tasks.gate.active_expectations import unfilled_columns
from kasasagi.tasks.gate.own import class_problem, with_own_defaults
from kasasagi.tasks.recipe import Recipe

KINDS = (pa.string(), pa.null())
"""What a column of the source may hold, where its type matters to a query: texts, or anything else."""


def gate_problems(recipe: Recipe, base: Path = Path()) -> list[str]:
    """Return a sentence for each expectation of the recipe's own that cannot be judged.

    Args:
        recipe: The recipe.
        base: Its folder, where own classes lie.
    """
    return [*_problems_unseen(recipe), *_problems_of_classes(recipe, base), *_problems_of_queries(recipe, base)]


def _problems_unseen(recipe: Recipe) -> list[str]:
    """Return a sentence for each expectation of the recipe's own on which every response would pass unseen."""
    return [
        f"gates.expect.{place}: no rule looks at {column!r} here, so every response would pass; {_remedy(recipe, rule)}"
        for place, one in enumerate(recipe.gates.expect)
        for column, rule in unfilled_columns(recipe, one)
    ]


def _problems_of_classes(recipe: Recipe, base: Path) -> list[str]:
    """Return a sentence for each own class that cannot be loaded or built."""
    own = [(place, one) for place, one in enumerate(recipe.gates.expect) if one.is_own]
    problems = [(place, class_problem(one, base)) for place, one in own]
    return [f"gates.expect.{place}.expectation: {problem}" for place, problem in problems if problem is not None]


def _problems_of_queries(recipe: Recipe, base: Path) -> list[str]:
    """Return a sentence for each query that cannot be run on the rows of its stage."""
    found = enumerate(with_own_defaults(one, base).arguments for one in recipe.gates.expect)
    queries = [(place, str(one["unexpected_rows_query"])) for place, one in found if "unexpected_rows_query" in one]
    if not queries:
        return []
    from kasasagi.tasks.gate.evaluation.queries import query_problem
    from kasasagi.tasks.tables.run_tables import empty_tables

    tables = [empty_tables(_more_columns(recipe, kind)) for kind in KINDS]
    stages = [one.stage for one in recipe.gates.expect]
    problems = [(place, query, query_problem(tables, stages[place], query)) for place, query in queries]
    return [
        f"gates.expect.{place}.unexpected_rows_query: {shown(query)} cannot be run: {problem}"
        for place, query, problem in problems
        if problem is not None
    ]


def _more_columns(recipe: Recipe, kind: pa.DataType) -> list[pa.Field]:
    """Return the columns that the prompts of a recipe have besides their own; those of the source are of some type."""
    more = [*recipe.kept_columns, *recipe.filter.columns, *recipe.stage_columns]
    return [pa.field(name, kind) for name in dict.fromkeys(more)]


def _remedy(recipe: Recipe, rule: str) -> str:
    if recipe.mixes:
        return "a mix has no rejected rows, and the runs were judged before: leave this expectation out"
    if recipe.responses_provided:
        return "responses that the source holds are taken as they are: leave this expectation out"
    return f"add {rule} to respond.rules, or leave this expectation out"
