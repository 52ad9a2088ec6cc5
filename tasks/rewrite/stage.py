"""The stage `rewrite`: models rewrite prompts."""

from kasasagi.tasks.gate.expectation import never
from kasasagi.tasks.gate.gate import NOT_ANSWERED, of_calls
from kasasagi.tasks.rewrite.config import COLUMNS
from kasasagi.tasks.stage import Stage, model_of

# Version 2: the extra_body of a vLLM model is sent. 3: a reply that was cut off is not read. 4: sixteen
# forms of thinking are split off. 5: so are further ones, and quoted ones are not. 6: the task stands last.
REWRITE = Stage(
    "rewrite",
    version=6,
    wanted=lambda recipe: recipe.rewrite is not None,
    task="kasasagi.tasks.rewrite.task:rewrite",
    named_models=model_of("rewrite"),
    example="kasasagi.tasks.rewrite.write:example",
    columns=lambda recipe: COLUMNS if recipe.rewrite is not None else (),
    repairs=lambda recipe: int(recipe.rewrite.repairs),
    gate=of_calls("rewrite", f"NOT {NOT_ANSWERED}", never("rewrite", "unreadable", 0.20)),
)
