"""OpenAI's format for preference fine-tuning (DPO), for Azure, Together and Fireworks too: upload `train.jsonl`.

https://developers.openai.com/api/docs/guides/direct-preference-optimization: a line is an object with `input`, whose
`messages` are the conversation up to the answer (system messages and earlier turns may be among them; `tools` and
`parallel_tool_calls` are optional), and with `preferred_output` and `non_preferred_output`, each a list of exactly one
assistant message, the one that answers the last. Only text is supported. No other keys stand beside them, since the
files are checked when they are uploaded; hence no ids, and rows are in the order of the format trl. OpenAI takes no
new users for fine-tuning; the other three take the same lines.

A prompt that does not end with the user's message is refused as `no_question`, a role that not all of them take as
`unknown_role`: Together refuses a whole file for one message of a `developer`.
"""

from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES
from kasasagi.tasks.publish.formats.base import Format, Row, by_row

LOADING = """\
from openai import OpenAI

client = OpenAI()
file = client.files.create(file=open("{folder}/train.jsonl", "rb"), purpose="fine-tune")
client.fine_tuning.jobs.create(model="gpt-4.1-mini-2025-04-14", training_file=file.id, method={"type": "dpo"})"""
COLUMNS = {
    "`input`": "an object whose `messages` are the conversation up to the answer",
    "`preferred_output`, `non_preferred_output`": (
        "the better and the worse answer, each a list of one assistant message"
    ),
}
SCHEMA = pa.schema(
    [
        ("input", pa.struct([("messages", MESSAGES)])),
        ("preferred_output", MESSAGES),
        ("non_preferred_output", MESSAGES),
    ]
)
ROLES = frozenset({"system", "user", "assistant"})


def skip_reason(row: Row) -> str | None:
    """Return why the row would not be taken."""
    if not {turn["role"] for turn in row["prompt"]} <= ROLES:
        return "unknown_role"
    return None if row["prompt"] and row["prompt"][-1]["role"] == "user" else "no_question"


def _preference(row: Row) -> dict[str, Any]:
    return {
        "input": {"messages": row["prompt"]},
        "preferred_output": row["chosen"],
        "non_preferred_output": row["rejected"],
    }


OPENAI_PREFERENCE = Format(
    name="openai_preference",
    consumer="OpenAI's preference fine-tuning",
    loading=LOADING,
    convert=by_row(SCHEMA, _preference),
    columns=COLUMNS,
    refuses=skip_reason,
)
