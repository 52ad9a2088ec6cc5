"""The stage `semantic`: it embeds prompts to compare them by meaning."""

from kasasagi.tasks.gate.gate import NOT_ANSWERED, of_calls
from kasasagi.tasks.stage import Stage, model_of

SEMANTIC = Stage(
    "semantic",
    version=1,
    wanted=lambda recipe: recipe.semantic is not None,
    task="kasasagi.tasks.semantic.task:semantic",
    named_models=model_of("semantic"),
    columns=lambda recipe: recipe.neighbor_columns,
    of_rewrites=False,
    gate=of_calls("semantic", f"NOT {NOT_ANSWERED}"),
)
