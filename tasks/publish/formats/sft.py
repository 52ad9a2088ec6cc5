"""TRL's conversational prompt-completion format, for supervised fine-tuning on the best answers.

https://huggingface.co/docs/trl/dataset_formats#prompt-completion: prompt and completion, both lists of messages.
SFTTrainer takes the loss on the completion alone, so that a model does not learn to ask the questions; a `messages`
column would teach it all turns. Other columns are left alone.

A prompt stands once, with its best chosen answer: the one rated highest, the first by its id among equals.
"""

from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES
from kasasagi.tasks.publish.formats.base import Format, table_of

LOADING = """\
from datasets import load_from_disk
from trl import SFTTrainer

SFTTrainer(model="your/model", train_dataset=load_from_disk("{folder}/dataset"){splits}).train()"""
COLUMNS = {
    "`prompt`": "the conversation up to the answer, as a list of `role` and `content`",
    "`completion`": "the best chosen answer, a list of one assistant message",
    "`prompt_id`, `response_id`": "digests of the prompt and of the answer",
    "`model`": "the model that gave the answer",
    "`rating`": "the judge's rating",
}
SCHEMA = pa.schema(
    [
        ("prompt", MESSAGES),
        ("completion", MESSAGES),
        ("prompt_id", pa.string()),
        ("response_id", pa.string()),
        ("model", pa.string()),
        ("rating", pa.float64()),
    ]
)


def _best_answers(rows: pa.Table) -> pa.Table:
    best: dict[str, dict[str, Any]] = {}
    for row in rows.to_pylist():
        known = best.setdefault(row["prompt_id"], row)
        if (row["chosen_rating"] or 0) > (known["chosen_rating"] or 0):
            best[row["prompt_id"]] = row
    return table_of(SCHEMA, map(_answer, best.values()))


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt": row["prompt"],
        "completion": row["chosen"],
        "prompt_id": row["prompt_id"],
        "response_id": row["chosen_id"],
        "model": row["chosen_model"],
        "rating": row["chosen_rating"],
    }


SFT = Format(name="sft", consumer="TRL's SFTTrainer", loading=LOADING, convert=_best_answers, columns=COLUMNS)
