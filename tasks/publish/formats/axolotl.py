"""Axolotl's `chat_template.default` format for DPO.

Read in Axolotl, src/axolotl/prompt_strategies/dpo/chat_template.py: the field that `field_messages` names (messages by
default) is the conversation up to the answer, a list of `role` and `content`; `chosen` and `rejected` are one such
message each. The roles are user, assistant, system and tool, and turns need not alternate, though a model's template
may ask for it. Axolotl renders an answer with the template and then looks for its text in the outcome; a template that
strips texts would not hold one with blanks at its ends, and all but its last character would be lost. So blanks
around the answers are stripped here. It looks behind a question of its own, `[[dummy_message]]`, and takes the first
place: an answer that occurs in there would begin there, and is refused as `hidden_in_the_template`. A role that
Axolotl does not map is refused as `unknown_role`.
"""

from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES
from kasasagi.tasks.publish.formats.base import Format, Row, by_row, text_of

LOADING = """\
# in the training configuration
rl: dpo
chat_template: tokenizer_default
datasets:
  - path: {folder}/train.jsonl
    ds_type: json
    split: train
    type: chat_template.default"""
COLUMNS = {
    "`messages`": "the conversation up to the answer, as a list of `role` and `content`",
    "`chosen`, `rejected`": "the better and the worse answer, each one message, without blanks at its ends",
    "`prompt_id`": "digest of the prompt",
}
MESSAGE = MESSAGES.value_type
SCHEMA = pa.schema([("messages", MESSAGES), ("chosen", MESSAGE), ("rejected", MESSAGE), ("prompt_id", pa.string())])
ROLES = frozenset({"user", "assistant", "system", "tool"})
DUMMY = "[[dummy_message]]"


def skip_reason(row: Row) -> str | None:
    """Return why Axolotl would not take the row."""
    if not {turn["role"] for turn in row["prompt"]} <= ROLES:
        return "unknown_role"
    hidden = any(text_of(row, side).strip() in DUMMY for side in ("chosen", "rejected"))
    return "hidden_in_the_template" if hidden else None


def _with_answers(row: Row) -> dict[str, Any]:
    chosen, rejected = ({"role": "assistant", "content": text_of(row, side).strip()} for side in ("chosen", "rejected"))
    return {"messages": row["prompt"], "chosen": chosen, "rejected": rejected, "prompt_id": row["prompt_id"]}


AXOLOTL = Format(
    name="axolotl",
    consumer="Axolotl",
    loading=LOADING,
    convert=by_row(SCHEMA, _with_answers),
    columns=COLUMNS,
    loading_language="yaml",
    refuses=skip_reason,
    verbatim=False,
)
