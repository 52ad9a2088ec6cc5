"""The stage `gist`: a model sums up."""

import pyarrow as pa

from kasasagi.blocks.tables import Table
from kasasagi.tasks.gate.expectation import never
from kasasagi.tasks.gate.gate import UNREAD, of_calls
from kasasagi.tasks.stage import Stage, model_of

GIST = Stage(
    "gist",
    version=1,
    wanted=lambda recipe: recipe.gist is not None,
    task="kasasagi.tasks.gist.task:gist",
    named_models=model_of("gist"),
    example="kasasagi.tasks.gist.task:example",
    tables=(Table("gists", pa.schema([("prompt_id", pa.string()), ("gist", pa.string())]), with_kept=True),),
    columns=lambda recipe: ("gist",) if recipe.gist else (),
    gate=of_calls("gist", UNREAD, never("gist", "unreadable", 0.5)),
)
