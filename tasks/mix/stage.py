"""The stage `mix`: it takes pairs of finished runs."""

import pyarrow as pa

from kasasagi.blocks.tables import Table
from kasasagi.tasks.gate.expectation import holds
from kasasagi.tasks.gate.gate import Gate
from kasasagi.tasks.stage import Stage

MIX_PARTS = pa.schema(
    [
        ("part", pa.string()),
        ("run", pa.string()),
        ("recipe", pa.string()),
        ("workspace", pa.string()),
        ("pairs_in", pa.int64()),
        ("pairs_left", pa.int64()),
        ("pairs", pa.int64()),
        ("wanted_share", pa.float64()),
        ("failed_gates", pa.int64()),
        ("about", pa.string()),
    ]
)

MIX = Stage(
    "mix",
    version=1,
    wanted=lambda recipe: recipe.mixes,
    task="kasasagi.tasks.mix.task:mix_pairs",
    tables=(Table("mix_parts", MIX_PARTS),),
    pays=False,
    gate=Gate(
        "SELECT part, run, recipe, pairs, pairs_left, pairs / sum(pairs) OVER () AS share, "
        "failed_gates = 0 AS gates_passed FROM mix_parts",
        "part",
        (holds("mix", "gates_passed", 1.0),),
    ),
)
