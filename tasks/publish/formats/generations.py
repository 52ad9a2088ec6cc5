"""One row for each response, with the columns that distilabel's TextGeneration and ChatGeneration give.

Read in distilabel 1.5, src/distilabel/steps/tasks/text_generation.py: instruction (text), generation (text) and
model_name (text); ChatGeneration reads messages in place of the instruction. Here messages are those that the model was
sent, system prompt and template included. Columns of the input stay beside them, as they do there.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES
from kasasagi.tasks.publish.formats.all_responses import PROMPT_COLUMNS
from kasasagi.tasks.publish.formats.base import ANSWERS, Format, table_of
from kasasagi.tasks.publish.formats.kept_columns import kept_names, with_kept

LOADING = """\
from datasets import load_from_disk

dataset = load_from_disk("{folder}/dataset"){splits}  # as distilabel's TextGeneration gives it"""
COLUMNS = {
    "`instruction`": "the last turn of the prompt",
    "`generation`": "the response",
    "`model_name`": "the model that gave it",
    "`messages`": "the messages that the model was sent, as a list of `role` and `content`",
    "`prompt_id`, `response_id`": "digests of the prompt and of the response",
    "`sample_index`": "which of the model's responses to the prompt it is, from 0",
    "`finish_reason`, `prompt_tokens`, `completion_tokens`": "what the server reported of the call",
    "`source`": "origin of the prompt",
}
SCHEMA = pa.schema(
    [
        ("instruction", pa.string()),
        ("generation", pa.string()),
        ("model_name", pa.string()),
        ("messages", MESSAGES),
        ("prompt_id", pa.string()),
        ("response_id", pa.string()),
        ("sample_index", pa.int64()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("source", pa.string()),
    ]
)
ANSWER_COLUMNS = ("response_id", "sample_index", "finish_reason", "prompt_tokens", "completion_tokens")


def _one_by_one(rows: pa.Table) -> pa.Table:
    prompts = rows.select(PROMPT_COLUMNS).to_pylist()
    places = [place for place, prompt in enumerate(prompts) for _ in prompt[ANSWERS]]
    made = table_of(SCHEMA, (row for prompt in prompts for row in _responses(prompt)))
    return with_kept(made, rows, kept_names(rows.column_names, PROMPT_COLUMNS, SCHEMA.names), places)


def _responses(prompt: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for answer in prompt[ANSWERS]:
        yield {
            "instruction": prompt["instruction"],
            "generation": answer["content"],
            "model_name": answer["model"],
            "messages": answer["messages"] or prompt["prompt"],  # a provided response has no request
            **{name: answer[name] for name in ANSWER_COLUMNS},
            "prompt_id": prompt["prompt_id"],
            "source": prompt["source"],
        }


GENERATIONS = Format(
    name="generations",
    consumer="scripts written for the columns of distilabel's TextGeneration",
    loading=LOADING,
    convert=_one_by_one,
    columns=COLUMNS,
    rows="prompts",
    answers=True,
    keeps=True,
)
