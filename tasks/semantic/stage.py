"""The stage `semantic`: it embeds prompts to compare them by meaning."""

from kasasagi.tasks.gate.gate import NOT_ANSWERED, of_calls
from kasasagi.tasks.stage import Stage

SEMANTIC = Stage(
    "semantic",
    version=1,
    wanted=lambda recipe: recipe.semantic is not None,
    models=lambda recipe: [recipe.semantic.model],
    of_rewrites=False,
    gate=of_calls("semantic", f"NOT {NOT_ANSWERED}"),
)
