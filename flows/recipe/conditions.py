"""Problems of the SQL conditions on answers, and of the one that tells unsafe prompts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from kasasagi.blocks.own.python import OwnPythonError
from kasasagi.blocks.tables import MESSAGES
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
