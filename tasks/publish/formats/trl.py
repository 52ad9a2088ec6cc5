"""TRL's conversational preference format with an explicit prompt, and everything known of each pair beside it.

https://huggingface.co/docs/trl/dataset_formats#preference: TRL reads prompt, chosen and rejected and leaves other
columns alone, but for the few that it gives a meaning (see `tasks.publish.rows.RESERVED`).
"""

import pyarrow as pa

from tasks.publish.formats.base import Format

LOADING = """\
from datasets import load_from_disk
from trl import DPOTrainer

DPOTrainer(model="your/model", train_dataset=load_from_disk("{folder}/dataset")).train()"""


def _as_it_is(rows: pa.Table) -> pa.Table:
    return rows


TRL = Format(name="trl", consumer="TRL's DPOTrainer", loading=LOADING, convert=_as_it_is)
