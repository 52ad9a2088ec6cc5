"""The columns of HuggingFaceH4/ultrafeedback_binarized, which the alignment handbook and many scripts expect.

https://huggingface.co/datasets/HuggingFaceH4/ultrafeedback_binarized: prompt (text), prompt_id (text), chosen and
rejected (lists of messages: the whole conversation with the answer at its end), messages (the same as chosen),
score_chosen and score_rejected (numbers). There `prompt` is the user's question; in conversations of several turns
it is the first one, as in ultrachat_200k, and the whole stands in chosen and rejected, system message and all. There
`prompt_id` is a SHA-256 of the prompt; here it is our digest of the whole conversation, opaque in the same way. As
with the original, TRL (1.16) takes no plain prompt beside whole conversations: the formats trl and reward are for it.
"""

from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES
from kasasagi.tasks.publish.formats.base import Format, Row, by_row, first_question

LOADING = """\
from datasets import load_from_disk

dataset = load_from_disk("{folder}/dataset"){splits}  # in place of HuggingFaceH4/ultrafeedback_binarized"""
COLUMNS = {
    "`prompt`": "the first thing that the user says, as text",
    "`prompt_id`": "digest of the whole prompt",
    "`chosen`, `rejected`": "the whole conversation with the better and with the worse answer at its end",
    "`messages`": "the same as `chosen`",
    "`score_chosen`, `score_rejected`": "the judge's ratings",
}
SCHEMA = pa.schema(
    [
        ("prompt", pa.string()),
        ("prompt_id", pa.string()),
        ("chosen", MESSAGES),
        ("rejected", MESSAGES),
        ("messages", MESSAGES),
        ("score_chosen", pa.float64()),
        ("score_rejected", pa.float64()),
    ]
)


def _binarize(row: Row) -> dict[str, Any]:
    chosen = row["prompt"] + row["chosen"]
    return {
        "prompt": first_question(row),
        "prompt_id": row["prompt_id"],
        "chosen": chosen,
        "rejected": row["prompt"] + row["rejected"],
        "messages": chosen,
        "score_chosen": row["chosen_rating"],
        "score_rejected": row["rejected_rating"],
    }


ULTRAFEEDBACK_BINARIZED = Format(
    name="ultrafeedback_binarized",
    consumer="scripts written for ultrafeedback_binarized",
    loading=LOADING,
    convert=by_row(SCHEMA, _binarize),
    columns=COLUMNS,
)
