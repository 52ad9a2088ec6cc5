"""The stage `load`: it reads a dataset, or the prompts of finished runs."""

from kasasagi.blocks.tables import PROMPTS, Table
from kasasagi.tasks.gate.expectation import rows
from kasasagi.tasks.gate.gate import Gate
from kasasagi.tasks.stage import Stage

LOAD = Stage(
    "load",
    version=4,
    wanted=lambda recipe: recipe.source.kind in ("dataset", "runs"),
    task="kasasagi.tasks.load.task:load",
    pays=False,
    tables=(Table("loaded", PROMPTS, public=False),),
    gate=Gate("SELECT prompt_id FROM loaded", "prompt_id", (rows("load"),), table="loaded"),
)
