"""The tasks of all stages, in the order of the pipeline."""

from pathlib import Path

from kasasagi.tasks.converse.task import converse
from kasasagi.tasks.filter.task import filter_prompts
from kasasagi.tasks.format_dpo.task import format_dpo
from kasasagi.tasks.judge.task import judge
from kasasagi.tasks.load.task import load
from kasasagi.tasks.own.task import own_tasks
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.respond.task import respond
from kasasagi.tasks.rewrite.task import rewrite
from kasasagi.tasks.select.task import select
from kasasagi.tasks.semantic.task import semantic
from kasasagi.tasks.stage_task import StageTask
from kasasagi.tasks.synthesize.task import synthesize
from kasasagi.tasks.tags.task import tags

TASKS: tuple[StageTask, ...] = (
    load,
    synthesize,
    filter_prompts,
    tags,
    semantic,
    select,
    rewrite,
    converse,
    respond,
    judge,
    format_dpo,
)


def tasks_of(recipe: Recipe, base: Path) -> tuple[StageTask, ...]:
    """Return all tasks with those of a recipe's own stages in their places. Raises OwnPythonError."""
    if not recipe.stages:
        return TASKS
    own = {converse: own_tasks(recipe, base, "prompts"), respond: own_tasks(recipe, base, "respond")}
    return tuple(one for task in TASKS for one in (task, *own.get(task, ())))
