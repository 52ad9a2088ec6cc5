"""Problems of the SQL conditions on answers and on answered prompts, and of the one that tells unsafe prompts."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from kasasagi.blocks.own.python import OwnPythonError
from kasasagi.blocks.tables import MESSAGES
from kasasagi.flows.recipe.errors import nearest
from kasasagi.tasks.own.loading import own_function
from kasasagi.tasks.recipe import Recipe

OF_THE_SOURCE = (pa.string(), pa.null())
"""What a kept column may hold, where its type matters to a condition: texts, or anything else."""
OF_OWN_STAGES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def answer_condition_problems(recipe: Recipe, base: Path) -> list[str]:
    """Return a sentence for each condition of `respond.where` that is not one on the columns of an answer.

    Args:
        recipe: The recipe.
        base: Its folder, where own stages lie.
    """
    from kasasagi.tasks.respond.checks import condition_columns

    schemas = [condition_columns(_prompt_columns(recipe, base, kind)) for kind in OF_THE_SOURCE]
    return [f"respond.{problem}" for problem in _problems(recipe.respond.where, schemas)]


def safety_problems(recipe: Recipe, base: Path) -> list[str]:
    """Return a sentence for each reason why refusals cannot be sides of pairs, where the recipe wants that.

    Args:
        recipe: The recipe.
        base: Its folder, where own stages lie.
    """
    safety = recipe.pairs.safety
    if safety is None:
        return []
    schemas = [_prompt_columns(recipe, base, kind) for kind in OF_THE_SOURCE]
    found = [problem.replace("where.unsafe", "unsafe", 1) for problem in _problems({"unsafe": safety.unsafe}, schemas)]
    if not recipe.responses_provided and "no_refusal" in recipe.respond.rules:
        rules = ", ".join(rule for rule in recipe.respond.rule_names if rule != "no_refusal")
        found.append(f"respond.rules: no_refusal drops what safety would pair; write rules without it: [{rules}]")
    return [f"pairs.safety.{problem}" if problem.startswith("unsafe") else problem for problem in found]


def pair_condition_problems(recipe: Recipe, base: Path) -> list[str]:
    """Return a sentence for each reason why prompts cannot be chosen by what their responses showed.

    Args:
        recipe: The recipe.
        base: Its folder, where own stages lie.
    """
    pairs = recipe.pairs
    if not pairs.chooses_prompts:
        return []
    from kasasagi.tasks.format_dpo.response_columns import RESPONSE_COLUMNS

    shown = [field.name for field in RESPONSE_COLUMNS]
    prompts = [_prompt_columns(recipe, base, kind) for kind in OF_THE_SOURCE]
    if taken := [name for name in prompts[0].names if name.casefold() in shown]:
        return [f"pairs: {name!r} is a column of the prompts already; rename that one" for name in taken]
    schemas = [pa.schema([*columns, *RESPONSE_COLUMNS]) for columns in prompts]
    ordered = pairs.select.columns if pairs.select else []
    problems = [f"pairs.{problem}" for problem in _problems(pairs.where, schemas)]
    problems += [
        f"pairs.select.{key}: {name!r} is not a column of the prompts{nearest(name, schemas[0].names)}"
        for key, name in ordered
        if name not in schemas[0].names
    ]
    if pairs.select is not None and pairs.target is not None:
        problems.append("pairs.select: quotas need all prompts, and pairs.target stops before; use pairs.where")
    return problems + _rating_problems(recipe, _mentioned(pairs.where, shown) | {name for _, name in ordered})


def _rating_problems(recipe: Recipe, used: Collection[str]) -> list[str]:
    """Return a sentence for each column of responses that a recipe uses and that would be empty."""
    from kasasagi.tasks.format_dpo.response_columns import RESPONSE_COLUMNS, pass_rating

    pairs, judge = recipe.pairs, recipe.judging
    shown = [field.name for field in RESPONSE_COLUMNS if field.name in used]
    if shown and judge is None:
        return [f"pairs: {shown[0]} is made of ratings, and strong_vs_weak uses none; name another strategy"]
    problems = []
    if judge is not None and "pass_rate" in used and pass_rating(pairs, judge) is None:
        problems.append(
            f"pairs.pass_rating: this key is missing; ratings by {judge.method} have no scale, so write the one from "
            "which an answer passes"
        )
    if "solver_gap" in used and not (pairs.strong and pairs.weak):
        problems.append("pairs: solver_gap needs the models of both sides; write strong: [large] and weak: [small]")
    return problems


def _mentioned(conditions: Mapping[str, str], columns: Sequence[str]) -> set[str]:
    """Return which of some columns any of the conditions uses."""
    if not conditions:
        return set()
    from kasasagi.tasks.filter.sql import SqlSandbox

    with SqlSandbox() as sandbox:
        return {name for name in columns for one in conditions.values() if sandbox.mentions(one, [name])}


def _problems(conditions: Mapping[str, str], schemas: Sequence[pa.Schema]) -> list[str]:
    """Return a sentence for each condition that is not one on the columns of a row, in any of some forms."""
    if not conditions:
        return []
    from kasasagi.tasks.filter.sql import SqlSandbox

    found = []
    with SqlSandbox() as sandbox:
        for reason, condition in conditions.items():
            try:
                sandbox.check(reason, condition, schemas)
            except ValueError as error:
                found.append(str(error))
    return found


def _prompt_columns(recipe: Recipe, base: Path, kept: pa.DataType) -> pa.Schema:
    """Return the columns of the prompts that are answered; those of the source are of some type."""
    distances = dict(zip(recipe.neighbor_columns, (pa.float64(), pa.string()), strict=False))
    fields = {
        "prompt_id": pa.string(),
        "messages": MESSAGES,
        "instruction": pa.string(),
        **dict.fromkeys(recipe.kept_columns, kept),
        **dict.fromkeys([*recipe.filter.columns, *recipe.stage_columns], pa.string()),
        **distances,
        **_columns_of_own_stages(recipe, base),
    }
    return pa.schema(list(fields.items()))


def _columns_of_own_stages(recipe: Recipe, base: Path) -> dict[str, pa.DataType]:
    """Return the columns that own stages add to the prompts; what is wrong with a stage is reported elsewhere."""
    found: dict[str, pa.DataType] = {}
    for entry in recipe.stages:
        if entry.after == "prompts":
            with suppress(OwnPythonError, ValidationError):
                function, _ = own_function(entry, base)
                found |= {name: OF_OWN_STAGES[kind] for name, kind in function.columns.items()}
    return found
