"""TRL's standard preference format: prompt, chosen and rejected as plain texts, for models without a chat template.

https://huggingface.co/docs/trl/dataset_formats#preference: `{"prompt": "The sky is", "chosen": " blue.", "rejected":
" green."}`. No template is applied: TRL joins the prompt and an answer as they are and ends with the end-of-text
token, so whatever parts a question from its answer must stand in the texts.

Hence a conversation is written as a transcript: `User: …`, `Assistant: …`, a blank line between turns, a system
message as `System: …`, and `Assistant:` at the end; the answers begin with the blank behind that. Earlier turns and
system messages so survive, and the transcript can be read back without loss. A row with a text that imitates a turn
(a line that begins `User:` behind a blank line) would be read back otherwise, and is refused as `imitates_a_turn`.
"""

import re

import pyarrow as pa

from kasasagi.tasks.publish.formats.base import Format, Row, by_row, text_of

LOADING = """\
from datasets import load_from_disk
from trl import DPOTrainer

DPOTrainer(model="your/base-model", train_dataset=load_from_disk("{folder}/dataset"){splits}).train()"""
COLUMNS = {
    "`prompt`": "the conversation as a transcript, from `User:` (or `System:`) to the `Assistant:` that waits",
    "`chosen`, `rejected`": "the better and the worse answer, each with the blank that follows `Assistant:`",
    "`prompt_id`": "digest of the prompt",
}
SCHEMA = pa.schema([(name, pa.string()) for name in ("prompt", "chosen", "rejected", "prompt_id")])
SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant"}
_IMITATION = re.compile(r"\n[ \t\r]*\n(?:System|User|Assistant):")


def transcript(row: Row) -> str:
    """Return the prompt as one text that ends where the answer begins."""
    turns = [f"{SPEAKERS[turn['role']]}: {turn['content']}" for turn in row["prompt"]]
    return "\n\n".join([*turns, "Assistant:"])


def skip_reason(row: Row) -> str | None:
    """Return why a transcript of the row would not say what the conversation says."""
    if any(turn["role"] not in SPEAKERS for turn in row["prompt"]):
        return "unknown_role"
    texts = [*(turn["content"] for turn in row["prompt"]), text_of(row, "chosen"), text_of(row, "rejected")]
    return "imitates_a_turn" if any(_IMITATION.search(text) for text in texts) else None


def _plain(row: Row) -> dict[str, str]:
    chosen, rejected = (f" {text_of(row, side)}" for side in ("chosen", "rejected"))
    return {"prompt": transcript(row), "chosen": chosen, "rejected": rejected, "prompt_id": row["prompt_id"]}


TRL_PLAIN = Format(
    name="trl_plain",
    consumer="TRL's DPOTrainer, as plain text",
    loading=LOADING,
    convert=by_row(SCHEMA, _plain),
    columns=COLUMNS,
    refuses=skip_reason,
    verbatim=False,
)
