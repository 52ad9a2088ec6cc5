"""TRL's conversational preference format with an implicit prompt, for reward models.

https://huggingface.co/docs/trl/reward_trainer: chosen and rejected are whole conversations, prompt and answer, and no
`prompt` column stands beside them, which older versions of RewardTrainer would not take. Nor does a `margin` column:
RewardTrainer subtracts it within the loss, which is for the user to ask for, so the two ratings stand apart. Other
columns are left alone.
"""

from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES
from kasasagi.tasks.publish.formats.base import Format, Row, by_row

LOADING = """\
from datasets import load_from_disk
from trl import RewardTrainer

RewardTrainer(model="your/model", train_dataset=load_from_disk("{folder}/dataset"){splits}).train()"""
COLUMNS = {
    "`chosen`, `rejected`": "the whole conversation with the better and with the worse answer at its end",
    "`prompt_id`": "digest of the prompt",
    "`chosen_rating`, `rejected_rating`": "the judge's ratings",
}
SCHEMA = pa.schema(
    [
        ("chosen", MESSAGES),
        ("rejected", MESSAGES),
        ("prompt_id", pa.string()),
        ("chosen_rating", pa.float64()),
        ("rejected_rating", pa.float64()),
    ]
)


def _whole(row: Row) -> dict[str, Any]:
    names = ("prompt_id", "chosen_rating", "rejected_rating")
    sides = {side: row["prompt"] + row[side] for side in ("chosen", "rejected")}
    return {**sides, **{name: row[name] for name in names}}


REWARD = Format(
    name="reward",
    consumer="TRL's RewardTrainer",
    loading=LOADING,
    convert=by_row(SCHEMA, _whole),
    columns=COLUMNS,
)
