"""Problems of the own stages that a recipe names."""

from pathlib import Path

from pydantic import ValidationError

from kasasagi.blocks.own.python import OwnPythonError
from kasasagi.blocks.tables import PROMPTS
from kasasagi.flows.recipe.errors import nearest, sentences
from kasasagi.tasks.own.config import OwnStage
from kasasagi.tasks.own.loading import own_function
from kasasagi.tasks.pipeline import STAGES
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.respond.stage import RESPONSES


def own_stage_problems(recipe: Recipe, base: Path) -> list[str]:
    """Return a sentence for each problem of the recipe's own stages.

    Args:
        recipe: The recipe.
        base: Its folder, where their files lie.
    """
    taken = [stage.name for stage in STAGES]
    columns = {"prompts": set(_prompt_columns(recipe)), "respond": {*RESPONSES.names, "messages", "instruction"}}
    found: list[str] = []
    for place, entry in enumerate(recipe.stages):
        where = f"stages.{place}"
        if entry.name in taken:
            found.append(f"{where}.use: there is a stage {entry.name!r} already; give the function another name")
        taken.append(entry.name)
        if entry.after == "respond" and not recipe.answers:
            found.append(f"{where}.after: no model responds in this recipe; write after: prompts")
        found += _problems(where, entry, recipe, base, columns[entry.after])
    return found


def _prompt_columns(recipe: Recipe) -> list[str]:
    return [*PROMPTS.names, *recipe.kept_columns, *recipe.filter.columns, *recipe.stage_columns]


def _problems(where: str, entry: OwnStage, recipe: Recipe, base: Path, columns: set[str]) -> list[str]:
    """Return the problems of one stage; the columns that it adds are there for the next one."""
    unknown = [name for name in entry.models if name not in recipe.models]
    found = [f"{where}: {name!r} is not a model of this recipe{nearest(name, list(recipe.models))}" for name in unknown]
    try:
        function, _ = own_function(entry, base)
        there = [name for name in function.columns if name in columns]
        columns |= set(function.columns)
        found += [f"{where}.use: the rows have a column {name!r} already; give it another name" for name in there]
    except OwnPythonError as error:
        found.append(f"{where}.use: {error}")
    except ValidationError as error:
        found += [f"{where}.{sentence}" for sentence in sentences(error, type(entry))]
    return found


def gate_stage_problems(recipe: Recipe) -> list[str]:
    """Return a sentence for each expectation of the recipe on a stage that there is not."""
    known = [*(stage.name for stage in STAGES if stage.gate), *(entry.name for entry in recipe.stages)]
    return [
        f"gates.expect.{place}.stage: {one.stage!r} is not a stage with a gate{nearest(one.stage, known)}"
        for place, one in enumerate(recipe.gates.expect)
        if one.stage not in known
    ]
