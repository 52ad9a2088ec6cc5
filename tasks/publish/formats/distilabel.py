"""The columns that distilabel's FormatTextGenerationDPO and FormatChatGenerationDPO give.

Read in distilabel 1.5, src/distilabel/steps/formatting/dpo.py: prompt (text: the instruction, of a chat its first user
message), prompt_id (SHA-256 of that text, in hexadecimal digits), chosen and rejected (lists of messages: system
message, earlier turns and question, then the answer), chosen_model and rejected_model, chosen_rating and
rejected_rating (numbers). Both steps add these to the columns of their input, which stay: messages and instruction,
generations (all texts), generation_models, ratings (numbers) and, from UltraFeedback in steps/tasks/ultrafeedback.py,
rationales (one text for each generation) and model_name (the judge); and whatever the source had beside. TRL (1.16)
takes no plain prompt beside whole conversations: the formats trl and reward are for it.
"""

import hashlib
from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES
from kasasagi.tasks.publish.formats.base import ANSWERS, Format, Row, first_question, table_of
from kasasagi.tasks.publish.formats.kept_columns import kept_names, with_kept
from kasasagi.tasks.publish.rows import OWN

LOADING = """\
from datasets import load_from_disk

dataset = load_from_disk("{folder}/dataset"){splits}  # as distilabel's FormatChatGenerationDPO gives it"""
COLUMNS = {
    "`instruction`, `messages`": "the last turn of the prompt, and all of it",
    "`generations`, `generation_models`": "every response to the prompt that was not quarantined, and its model",
    "`ratings`": "the rating of each of them over all verdicts, null where it has none",
    "`rationales`": "the judge's reasons for each of them, those of several verdicts one below the other",
    "`model_name`": "the judge, several with a comma between them",
    "`prompt`": "the first thing that the user says, as text",
    "`prompt_id`": "SHA-256 of that text",
    "`chosen`, `rejected`": "the whole conversation with the better and with the worse answer at its end",
    "`chosen_model`, `rejected_model`": "the models that gave the answers",
    "`chosen_rating`, `rejected_rating`": "the judge's ratings",
}
TEXTS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("instruction", pa.string()),
        ("messages", MESSAGES),
        ("generations", TEXTS),
        ("generation_models", TEXTS),
        ("ratings", pa.list_(pa.float64())),
        ("rationales", TEXTS),
        ("model_name", pa.string()),
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
READ = ("prompt", "chosen", "rejected", ANSWERS)
PER_SIDE = ("model", "rating")


def _format_row(row: Row) -> dict[str, Any]:
    prompt = first_question(row)
    formatted = {**_input(row), "prompt": prompt, "prompt_id": hashlib.sha256(prompt.encode()).hexdigest()}
    for side in ("chosen", "rejected"):
        formatted[side] = row["prompt"] + row[side]
        formatted |= {f"{side}_{name}": row[f"{side}_{name}"] for name in PER_SIDE}
    return formatted


def _input(row: Row) -> dict[str, Any]:
    """Return what distilabel's step would have been given."""
    answers = row[ANSWERS]
    judges = sorted({judge for answer in answers for judge in answer["judges"]})
    return {
        "instruction": row["prompt"][-1]["content"] if row["prompt"] else None,
        "messages": row["prompt"],
        "generations": [answer["content"] for answer in answers],
        "generation_models": [answer["model"] for answer in answers],
        "ratings": [answer["rating"] for answer in answers],
        "rationales": ["\n\n".join(answer["rationales"]) or None for answer in answers],
        "model_name": ", ".join(judges) or None,
    }


def _with_input(rows: pa.Table) -> pa.Table:
    needed = [*READ, *(f"{side}_{name}" for side in ("chosen", "rejected") for name in PER_SIDE)]
    made = table_of(SCHEMA, map(_format_row, rows.select(needed).to_pylist()))
    return with_kept(made, rows, kept_names(rows.column_names, {*OWN, ANSWERS}, SCHEMA.names))


DISTILABEL = Format(
    name="distilabel",
    consumer="scripts written for distilabel's DPO columns",
    loading=LOADING,
    convert=_with_input,
    columns=COLUMNS,
    answers=True,
    keeps=True,
)
