"""Responses that a dataset holds already, and what it says of them: which one it prefers, and last answers."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.suggestions import nearest
from kasasagi.blocks.tables import quoted
from kasasagi.tasks.load.config import SOURCE, DatasetSource, ProvidedResponses, SourceError
from kasasagi.tasks.load.files.locate import locate
from kasasagi.tasks.load.files.opened import RawRow
from kasasagi.tasks.load.files.readers import open_rows
from kasasagi.tasks.load.json_text import json_text
from kasasagi.tasks.load.leads import lead_to
from kasasagi.tasks.load.rows import Inputs, choose_inputs, conversation, last_answer, usual_inputs
from kasasagi.tasks.load.transcript import turns_of
from kasasagi.tasks.load.turns import Conversation, UnfitRowError, response_in, turns_in, unwritten

BATCH_ROWS = 2000
PROVIDED = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("row", pa.int64()),
        ("slot", pa.string()),
        ("model", pa.string()),
        ("content", pa.string()),
        ("fault", pa.string()),
    ]
)
"""A response as its row has it: the row's number, chosen, rejected or its place in the list, and what is wrong."""


@dataclass(frozen=True, slots=True)
class ProvidedAnswer:
    """One response of a row: its slot, whose it is, what it says, and why it cannot be used, if so."""

    slot: str
    model: str
    content: str | None
    problem: str | None


def with_prompt(source: DatasetSource, rows: Iterator[RawRow]) -> Iterator[RawRow]:
    """Return the rows, each with its prompt in the column `messages` if the recipe maps none.

    The prompt is the column `prompt` (a text or a conversation), with the turns that whole conversations in the
    responses add to it. Without that column it is what precedes the responses in whole conversations, otherwise the
    columns that a dataset without responses is read from (messages, conversations, instruction). Each may be a
    transcript in one text.
    """
    provided = source.responses
    if provided is None or _maps_prompt(source):
        yield from rows
        return
    for row in rows:
        yield _row_with_prompt(provided, row) if isinstance(row.value, dict) else row


def _maps_prompt(source: DatasetSource) -> bool:
    return "instruction" in source.columns or "messages" in source.columns


def _row_with_prompt(provided: ProvidedResponses, row: RawRow) -> RawRow:
    try:
        return RawRow({**row.value, "messages": _prompt_of(provided, row.value)}, row.raw)
    except UnfitRowError as unfit:
        return RawRow(raw=row.raw or json_text(row.value)[0].encode(), reason=unfit.reason, detail=unfit.detail)


def _prompt_of(provided: ProvidedResponses, row: Mapping[str, Any]) -> Conversation:
    prompt, values = unwritten(row.get("prompt")), _values(provided, row)
    if isinstance(prompt, dict):
        prompt = [prompt]
    if prompt is not None:
        turns = _waiting(prompt) if isinstance(prompt, str) else turns_in(prompt, "prompt")
        return _with_turns(turns, list(_readable(values)))
    texts = [value for value in _readable(values) if isinstance(value, str)]
    if len({turns_of(text) is None for text in texts}) > 1:
        raise UnfitRowError("prompts_differ", "one response is a transcript, and another is a text without its prompt")
    spelled = map(_spelled_out, _readable(values))
    before = [value[:-1] for value in spelled if not isinstance(value, str) and len(value) > 1]
    if not before and (usual := _usual_prompt(provided, row)) is not None:
        return usual
    if not before:
        raise UnfitRowError("missing_column", "the row has no prompt, and its responses are not whole conversations")
    if any(turns != before[0] for turns in before):
        raise UnfitRowError("prompts_differ", "the responses answer different conversations")
    return before[0]


def _usual_prompt(provided: ProvidedResponses, row: Mapping[str, Any]) -> Conversation | None:
    """Return the prompt in the columns from which datasets without responses are read; None where they hold none."""
    columns = [name for name, value in row.items() if value]
    inputs = usual_inputs(columns, [theirs for _, theirs in provided.columns()])
    return None if inputs is None else conversation(row, replace(inputs, last_answer="refuse"))


def _readable(values: list[Any]) -> Iterator[str | Conversation]:
    """Yield the responses of a row that can be read at all."""
    for value in values:
        with suppress(UnfitRowError):
            yield response_in(value)


def _with_turns(prompt: Conversation, responses: list[str | Conversation]) -> Conversation:
    """Return a prompt with the turns that stand in its responses alone: a system message, earlier turns, or
    later ones.
    """
    leads = [lead_to(prompt, response) for response in responses]
    if any(lead != leads[0] for lead in leads):
        raise UnfitRowError("prompts_differ", "the responses answer different conversations")
    return leads[0] if leads else prompt


def _waiting(prompt: str) -> Conversation:
    """Return a prompt in one text: a transcript that ends where the assistant's turn begins, or a user's words."""
    turns = turns_of(prompt)
    if turns is None or turns[-1] != {"role": "assistant", "content": ""}:
        return [{"role": "user", "content": prompt}]
    return turns[:-1]


def _spelled_out(value: str | Conversation) -> str | Conversation:
    """Return a transcript as its turns; anything else as it is."""
    turns = turns_of(value) if isinstance(value, str) else None
    return value if turns is None else turns


def _values(provided: ProvidedResponses, row: Mapping[str, Any]) -> list[Any]:
    if provided.all is None:
        return [row.get(provided.chosen), row.get(provided.rejected)]
    return _list_in(row.get(provided.all)) or []


def _list_in(value: Any) -> list[Any] | None:
    """Return a list, which a cell of a csv file holds as JSON; None for another value."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(orjson.JSONDecodeError):
            value = orjson.loads(value)
    return value if isinstance(value, list) else None


def answers_of(provided: ProvidedResponses, row: Mapping[str, Any], whole: bool = False) -> list[ProvidedAnswer]:
    """Return the responses of a row, valid or not.

    Args:
        provided: The columns with responses.
        row: The row.
        whole: Whether the row has no separate prompt, so that its responses may be transcripts.
    """
    values = _values(provided, row)
    slots = ["chosen", "rejected"] if provided.all is None else [str(place) for place in range(len(values))]
    names = _list_in(row.get(provided.models)) if provided.models else None
    known = names is not None and len(names) == len(values)
    models = [str(name) for name in names or ()] if known else _own_names(values, _default_names(provided, slots))
    return [_answer(slot, model, value, whole) for slot, model, value in zip(slots, models, values, strict=True)]


def _own_names(values: list[Any], otherwise: list[str]) -> list[str]:
    """Return the model that each response names, as objects such as UltraFeedback's completions do; else
    another name.
    """
    own = [value.get("model", value.get("model_name")) if isinstance(value, dict) else None for value in values]
    return [name if isinstance(name, str) and name else default for name, default in zip(own, otherwise, strict=True)]


def _default_names(provided: ProvidedResponses, slots: list[str]) -> list[str]:
    return slots if provided.all is None else [f"response {slot}" for slot in slots]


def _answer(slot: str, model: str, value: Any, whole: bool) -> ProvidedAnswer:
    """Return a text, a turn of the assistant, or a conversation that ends with one."""
    try:
        response = _spelled_out(response_in(value)) if whole else response_in(value)
    except UnfitRowError as unfit:
        return ProvidedAnswer(slot, model, None, unfit.detail)
    if isinstance(response, str):
        return ProvidedAnswer(slot, model, response, None)
    if response[-1]["role"] != "assistant":
        return ProvidedAnswer(
            slot, model, None, f"it ends with a turn of the {response[-1]['role']}, not of the assistant"
        )
    return ProvidedAnswer(slot, model, response[-1]["content"], None)


def check_provided(source: DatasetSource, columns: list[str] | None) -> None:
    """Raise SourceError where a column of responses is not there; columns are theirs, None where unknown."""
    provided = source.responses
    for ours, theirs in provided.columns() if provided else ():
        if columns is not None and theirs not in columns:
            raise SourceError(f"responses.{ours}: {source.path} has no column {theirs!r}: {nearest(theirs, columns)}")


def write_provided(source: DatasetSource, base: Path, into: Path, limit: int | None) -> Path:
    """Write the responses of all rows that hold a prompt to `given.parquet`, ordered by prompt, then row and place."""
    opened = open_rows(source, locate(source, base))
    inputs = choose_inputs(source, opened.columns)
    most = min((some for some in (source.limit, limit) if some is not None), default=None)
    rows = with_prompt(source, islice(opened.rows, most))
    staged, target = into / "given-staged.parquet", into / "given.parquet"
    with pq.ParquetWriter(staged, PROVIDED) as writer:
        for batch in _batches(_provided_rows(source, inputs, rows)):
            writer.write_table(pa.Table.from_pylist(batch, schema=PROVIDED))
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SET memory_limit = '256MB'; SET temp_directory = {quoted(into)}")
        ordered = f"SELECT * FROM read_parquet({quoted(staged)}) ORDER BY prompt_id, row, slot"
        connection.execute(f"COPY ({ordered}) TO {quoted(target)} (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    staged.unlink()
    return target


def _provided_rows(source: DatasetSource, inputs: Inputs, rows: Iterator[RawRow]) -> Iterator[dict[str, Any]]:
    provided = source.responses
    for number, row in enumerate(rows):
        if provided is None:
            yield from _chosen_answer(row, number, inputs)
            continue
        messages = _messages(row, inputs)
        whole = not _maps_prompt(source) and isinstance(row.value, dict) and row.value.get("prompt") is None
        for answer in answers_of(provided, row.value, whole) if messages else ():
            fields = {"slot": answer.slot, "model": answer.model, "content": answer.content, "fault": answer.problem}
            yield {"prompt_id": prompt_id(messages or []), "row": number, **fields}


def _chosen_answer(row: RawRow, number: int, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Yield the answer that a row ends with, as the chosen response to what comes before it."""
    messages = _messages(row, inputs)
    if messages and (content := last_answer(row.value, inputs)) is not None:
        whose = {"slot": "chosen", "model": SOURCE, "content": content, "fault": None}
        yield {"prompt_id": prompt_id(messages), "row": number, **whose}


def count_answered(source: DatasetSource, base: Path, most: int) -> int:
    """Return how many of a source's first rows are prompts that end with an answer. Raises SourceError."""
    opened = open_rows(source, locate(source, base))
    inputs = choose_inputs(source, opened.columns)
    rows = islice(opened.rows, most)
    return sum(bool(_messages(row, inputs)) and last_answer(row.value, inputs) is not None for row in rows)


def _messages(row: RawRow, inputs: Inputs) -> Conversation | None:
    """Return the prompt of a row; None where it has none, which the load says."""
    if row.reason is not None or not isinstance(row.value, dict):
        return None
    try:
        return conversation(row.value, inputs)
    except UnfitRowError:
        return None


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch
