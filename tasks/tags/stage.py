"""The stage `tags`: a model labels prompts."""

from kasasagi.tasks.gate.expectation import never
from kasasagi.tasks.gate.gate import NOT_ANSWERED, of_calls
from kasasagi.tasks.stage import Stage, model_of

# A prompt that was labelled, and rejected by a condition on its labels, goes by its own id; an unread reply does not.
_UNREAD = f"row_id IS DISTINCT FROM payload->>'prompt_id' AND NOT {NOT_ANSWERED}"

# Version 2: the extra_body of a vLLM model is sent. 3: a reply that was cut off is not read. 4: sixteen
# forms of thinking are split off. 5: so are further ones, and quoted ones are not.
TAGS = Stage(
    "tags",
    version=5,
    wanted=lambda recipe: recipe.tags is not None,
    task="kasasagi.tasks.tags.task:tags",
    named_models=model_of("tags"),
    example="kasasagi.tasks.tags.label:example",
    columns=lambda recipe: recipe.tag_columns,
    if_taken="set tags.prefix",
    repairs=lambda recipe: int(recipe.tags.repairs),
    gate=of_calls("tags", _UNREAD, never("tags", "unreadable", 0.05)),
)
