"""The ways of judging by the names that a recipe uses."""

from typing import Any

from kasasagi.blocks.own.registry import Registry

METHODS: Registry[Any] = Registry(
    "way of judging",
    {
        "ultrafeedback": "kasasagi.tasks.judge.methods:Ultrafeedback",
        "pairwise": "kasasagi.tasks.judge.methods:Pairwise",
        "rubric": "kasasagi.tasks.judge.methods:ByRubric",
        "reward": "kasasagi.tasks.judge.methods:Reward",
        "checklist": "kasasagi.tasks.judge.checklist.method:Checklist",
        "verify": "kasasagi.tasks.judge.verify.work:verify_chunk",
    },
    "kasasagi.tasks.judge.own_method:own_method",
)
"""Each is a class that takes the judge's configuration and is a `kasasagi.tasks.judge.methods.Method`.

`verify` asks no model and so is none of these: it does a whole chunk by one of the `CHECKERS`.
"""
