"""TRL's conversational preference format with an explicit prompt, and everything known of each pair beside it.

https://huggingface.co/docs/trl/dataset_formats#preference: TRL reads prompt, chosen and rejected and leaves other
columns alone, but for the few that it gives a meaning (see `kasasagi.tasks.publish.rows.RESERVED`).
"""

import pyarrow as pa

from kasasagi.tasks.publish.formats.base import Format

LOADING = """\
from datasets import load_from_disk
from trl import DPOTrainer

DPOTrainer(model="your/model", train_dataset=load_from_disk("{folder}/dataset"){splits}).train()"""
COLUMNS = {
    "`prompt`": "the conversation up to the answer, as a list of `role` and `content`",
    "`chosen`, `rejected`": "the better and the worse answer, each a list of one assistant message",
    "`prompt_id`, `chosen_id`, `rejected_id`": "digests of the prompt and of the two answers",
    "`source`": "origin of the prompt",
    "`chosen_model`, `rejected_model`": "the models that gave the answers",
    "`chosen_rating`, `rejected_rating`, `margin`": ("the judge's ratings over all verdicts, and their difference"),
    "`chosen_rationale`, `rejected_rationale`": (
        "the judge's reasons, one for each verdict, by aspect and then by order"
    ),
    "`chosen_tokens`, `rejected_tokens`": "tokens of the answers as their models count them",
}


def _as_it_is(rows: pa.Table) -> pa.Table:
    return rows


TRL = Format(name="trl", consumer="TRL's DPOTrainer", loading=LOADING, convert=_as_it_is, columns=COLUMNS, keeps=True)
