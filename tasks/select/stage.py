"""The stage `select`: it selects among filtered prompts."""

from kasasagi.tasks.stage import Stage

SELECT = Stage(
    "select",
    version=1,
    wanted=lambda recipe: recipe.is_refined,
    task="kasasagi.tasks.select.task:select",
    pays=False,
)
