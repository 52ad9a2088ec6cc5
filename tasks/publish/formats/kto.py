"""TRL's conversational unpaired preference format, for KTO and BCO.

https://huggingface.co/docs/trl/dataset_formats#unpaired-preference: prompt and completion (lists of messages; the
completion is the answer alone) and label (true for a desired answer, false for an undesired one). Other columns are
left alone.

Each answer stands once, however many pairs it is in. One that is chosen in a pair and rejected in another is neither
good nor bad, and stands nowhere. So there are at most two rows a pair. KTOTrainer takes rows as they lie and pairs
each prompt with a neighbour's completion to estimate a divergence, which must not be an answer to the same prompt; so
rows lie by their response_id, a digest, within pieces of some thousand, which parts the answers to one prompt.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES
from kasasagi.tasks.publish.formats.base import Format, table_of, text_of

LOADING = """\
from datasets import load_from_disk
from trl import KTOTrainer  # in some versions from trl.experimental.kto

KTOTrainer(model="your/model", train_dataset=load_from_disk("{folder}/dataset"){splits}).train()"""
COLUMNS = {
    "`prompt`": "the conversation up to the answer, as a list of `role` and `content`",
    "`completion`": "the answer, a list of one assistant message",
    "`label`": "whether it is the better one of a pair",
    "`prompt_id`, `response_id`": "digests of the prompt and of the answer",
    "`model`": "the model that gave the answer",
    "`rating`": "the judge's rating",
}
SCHEMA = pa.schema(
    [
        ("prompt", MESSAGES),
        ("completion", MESSAGES),
        ("label", pa.bool_()),
        ("prompt_id", pa.string()),
        ("response_id", pa.string()),
        ("model", pa.string()),
        ("rating", pa.float64()),
    ]
)


def _unpair(rows: pa.Table) -> pa.Table:
    return table_of(SCHEMA, sorted(_answers(rows.to_pylist()), key=lambda answer: answer["response_id"]))


def _answers(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each text once, with its label; those that stand on both sides are left out."""
    sides = {side: {(row["prompt_id"], text_of(row, side)) for row in rows} for side in ("chosen", "rejected")}
    seen = sides["chosen"] & sides["rejected"]
    for row in rows:
        for side in ("chosen", "rejected"):
            answer = (row["prompt_id"], text_of(row, side))
            if answer not in seen:
                seen.add(answer)
                yield _answer(row, side)


def _answer(row: dict[str, Any], side: str) -> dict[str, Any]:
    return {
        "prompt": row["prompt"],
        "completion": row[side],
        "label": side == "chosen",
        "prompt_id": row["prompt_id"],
        "response_id": row[f"{side}_id"],
        "model": row[f"{side}_model"],
        "rating": row[f"{side}_rating"],
    }


KTO = Format(name="kto", consumer="TRL's KTOTrainer", loading=LOADING, convert=_unpair, columns=COLUMNS)
