"""The tasks of all stages, in the order of the pipeline."""

from pathlib import Path
from pkgutil import resolve_name

from kasasagi.tasks.own.task import own_tasks
from kasasagi.tasks.pipeline import STAGES
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.stage_task import StageTask

OWN_BEHIND = {"converse": "prompts", "respond": "respond"}
"""Behind which stages a recipe's own ones may stand, and how the recipe says so."""
TASKS: tuple[StageTask, ...] = tuple(resolve_name(stage.task) for stage in STAGES)


def tasks_of(recipe: Recipe, base: Path) -> tuple[StageTask, ...]:
    """Return all tasks with those of a recipe's own stages in their places. Raises OwnPythonError."""
    own = {stage: own_tasks(recipe, base, after) for stage, after in OWN_BEHIND.items()} if recipe.stages else {}
    return tuple(one for task in TASKS for one in (task, *own.get(task.name, ())))
