"""LLaMA-Factory's preference format in ShareGPT style, with the dataset_info.json that announces it.

Read in LLaMA-Factory, data/README.md and src/llamafactory/data/converter.py (SharegptDatasetConverter): `conversations`
is a list of messages with `from` (human or gpt) and `value`, `chosen` and `rejected` are one such message each, and the
column that dataset_info.json maps to `system` holds the system prompt, empty for none. `ranking: true` makes it a
preference dataset. From the first message on, human and gpt must take turns, and with `ranking` their number must be
odd; else LLaMA-Factory skips the row with no more than a warning. Such rows are refused here, as
`turns_do_not_alternate`, and those with a system message behind the first place as `system_message_inside`.

The folder of the format is a `dataset_dir`; the dataset in it is called kasasagi, its test split kasasagi_test.
"""

from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa

from kasasagi.tasks.publish.formats.base import Format, Row, by_row, misplaced_turn, text_of

LOADING = """\
# in the training configuration
stage: dpo
dataset_dir: {folder}
dataset: kasasagi"""
COLUMNS = {
    "`conversations`": "the turns up to the answer, as a list of `from` (human or gpt) and `value`",
    "`chosen`, `rejected`": "the better and the worse answer, each one such turn",
    "`system`": "the system message, empty for none",
    "`prompt_id`": "digest of the prompt",
}
TURN = pa.struct([("from", pa.string()), ("value", pa.string())])
SCHEMA = pa.schema(
    [
        ("conversations", pa.list_(TURN)),
        ("chosen", TURN),
        ("rejected", TURN),
        ("system", pa.string()),
        ("prompt_id", pa.string()),
    ]
)
NAMES = {"user": "human", "assistant": "gpt"}
DATASETS = {"train": "kasasagi", "test": "kasasagi_test"}


def skip_reason(row: Row) -> str | None:
    """Return why LLaMA-Factory would skip the row."""
    return misplaced_turn(row["prompt"])


def _dataset_info(splits: Sequence[str]) -> dict[str, bytes]:
    entries = {
        DATASETS[split]: {
            "file_name": f"{split}.jsonl",
            "formatting": "sharegpt",
            "ranking": True,
            "columns": {name: name for name in ("chosen", "rejected", "system")} | {"messages": "conversations"},
        }
        for split in splits
    }
    return {"dataset_info.json": orjson.dumps(entries, option=orjson.OPT_INDENT_2) + b"\n"}


def _sharegpt(row: Row) -> dict[str, Any]:
    system = [turn["content"] for turn in row["prompt"] if turn["role"] == "system"]
    turns = [turn for turn in row["prompt"] if turn["role"] != "system"]
    return {
        "conversations": [{"from": NAMES[turn["role"]], "value": turn["content"]} for turn in turns],
        "chosen": {"from": "gpt", "value": text_of(row, "chosen")},
        "rejected": {"from": "gpt", "value": text_of(row, "rejected")},
        "system": "".join(system),
        "prompt_id": row["prompt_id"],
    }


LLAMA_FACTORY = Format(
    name="llama_factory",
    consumer="LLaMA-Factory",
    loading=LOADING,
    convert=by_row(SCHEMA, _sharegpt),
    columns=COLUMNS,
    loading_language="yaml",
    refuses=skip_reason,
    files=_dataset_info,
)
