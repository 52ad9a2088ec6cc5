"""Every prompt with all its responses: for rejection sampling, other pairs, or training a reward model on ratings.

No consumer prescribes this layout. UltraFeedback has a list of completions for each instruction, each with its model,
its ratings and its rationales; here they are lists of equal length, which data frames and filters handle more easily.
"""

from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES
from kasasagi.tasks.publish.formats.base import ANSWERS, Format, Row, table_of
from kasasagi.tasks.publish.formats.kept_columns import kept_names, with_kept

LOADING = """\
from datasets import load_from_disk

dataset = load_from_disk("{folder}/dataset"){splits}
for row in dataset:
    for response, model, rating in zip(row["responses"], row["models"], row["ratings"]):
        print(model, rating, response)"""
COLUMNS = {
    "`prompt`": "the conversation up to the answer, as a list of `role` and `content`",
    "`instruction`": "its last turn alone",
    "`responses`": "every response that was not quarantined, in the order of models and samples",
    "`models`, `response_ids`": "the model of each response, and their digests",
    "`ratings`": "the rating of each over all verdicts, null where it has none",
    "`rationales`": "for each response the judge's reasons, one for each verdict, by aspect and then by order",
    "`prompt_id`, `source`": "digest of the prompt, and where it is from",
}
TEXTS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("prompt", MESSAGES),
        ("instruction", pa.string()),
        ("responses", TEXTS),
        ("models", TEXTS),
        ("response_ids", TEXTS),
        ("ratings", pa.list_(pa.float64())),
        ("rationales", pa.list_(TEXTS)),
        ("prompt_id", pa.string()),
        ("source", pa.string()),
    ]
)
PROMPT_COLUMNS = ("prompt", "prompt_id", "instruction", "source", ANSWERS)


def _together(row: Row) -> dict[str, Any]:
    answers = row[ANSWERS]
    listed = {"responses": "content", "models": "model", "response_ids": "response_id", "ratings": "rating"}
    return {
        **{name: row[name] for name in ("prompt", "instruction", "prompt_id", "source")},
        **{name: [answer[field] for answer in answers] for name, field in listed.items()},
        "rationales": [answer["rationales"] for answer in answers],
    }


def _all_responses(rows: pa.Table) -> pa.Table:
    made = table_of(SCHEMA, map(_together, rows.select(PROMPT_COLUMNS).to_pylist()))
    return with_kept(made, rows, kept_names(rows.column_names, PROMPT_COLUMNS, SCHEMA.names))


ALL_RESPONSES = Format(
    name="all_responses",
    consumer="everything that wants all responses to a prompt",
    loading=LOADING,
    convert=_all_responses,
    columns=COLUMNS,
    rows="prompts",
    answers=True,
    keeps=True,
)
