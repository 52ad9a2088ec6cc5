"""The stage `rewrite`: models rewrite prompts."""

from kasasagi.tasks.gate.expectation import never
from kasasagi.tasks.gate.gate import NOT_ANSWERED, of_calls
from kasasagi.tasks.stage import Stage

# Version 2: the extra_body of a vLLM model is sent. 3: a reply that was cut off is not read. 4: sixteen
# forms of thinking are split off. 5: so are further ones, and quoted ones are not. 6: the task stands last.
REWRITE = Stage(
    "rewrite",
    version=6,
    wanted=lambda recipe: recipe.rewrite is not None,
    models=lambda recipe: [recipe.rewrite.model],
    repairs=lambda recipe: int(recipe.rewrite.repairs),
    gate=of_calls("rewrite", f"NOT {NOT_ANSWERED}", never("rewrite", "unreadable", 0.20)),
)
