"""The columns that distilabel's FormatTextGenerationDPO and FormatChatGenerationDPO give.

Read in distilabel 1.5, src/distilabel/steps/formatting/dpo.py: prompt (text: the instruction, of a chat its first user
message), prompt_id (SHA-256 of that text, in hexadecimal digits), chosen and rejected (lists of messages: system
message, earlier turns and question, then the answer), chosen_model and rejected_model, chosen_rating and
rejected_rating (numbers). TRL (1.16) takes no plain prompt beside whole conversations: the formats trl and reward are
for it.
"""

import hashlib
from typing import Any

import pyarrow as pa

from blocks.tables import MESSAGES
from tasks.publish.formats.base import Format, Row, by_row, first_question

LOADING = """\
from datasets import load_from_disk

dataset = load_from_disk("{folder}/dataset"){splits}  # as distilabel's FormatChatGenerationDPO gives it"""
COLUMNS = {
    "`prompt`": "the first thing that the user says, as text",
    "`prompt_id`": "SHA-256 of that text",
    "`chosen`, `rejected`": "the whole conversation with the better and with the worse answer at its end",
    "`chosen_model`, `rejected_model`": "who gave the answers",
    "`chosen_rating`, `rejected_rating`": "the judge's ratings",
}
SCHEMA = pa.schema(
    [
        ("prompt", pa.string()),
        ("prompt_id", pa.string()),
        ("chosen", MESSAGES),
        ("chosen_model", pa.string()),
        ("chosen_rating", pa.float64()),
        ("rejected", MESSAGES),
        ("rejected_model", pa.string()),
        ("rejected_rating", pa.float64()),
    ]
)


def _formatted(row: Row) -> dict[str, Any]:
    prompt = first_question(row)
    formatted = {"prompt": prompt, "prompt_id": hashlib.sha256(prompt.encode()).hexdigest()}
    for side in ("chosen", "rejected"):
        formatted[side] = row["prompt"] + row[side]
        formatted[f"{side}_model"] = row[f"{side}_model"]
        formatted[f"{side}_rating"] = row[f"{side}_rating"]
    return formatted


DISTILABEL = Format(
    name="distilabel",
    consumer="scripts written for distilabel's DPO columns",
    loading=LOADING,
    convert=by_row(SCHEMA, _formatted),
    columns=COLUMNS,
)
