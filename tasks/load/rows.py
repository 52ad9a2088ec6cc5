"""One row of a source as a conversation that waits for an answer, or the reason why it is none."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.load.config import DatasetSource, SourceError
from kasasagi.tasks.load.turns import Conversation, UnfitRowError, kind_of, turns_in

_CONVERSATIONS = ("messages", "conversations", "conversation")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The source columns that make a prompt: the instruction or the messages, and the system text if one is mapped.

    Attributes:
        more: The column `input` of datasets with instruction and input (Alpaca): the material of the instruction.
        answer: The column of an answer to the instruction.
        last_answer: How text after the user's last turn is used: dropped, refused, or kept in dialogues that have
            fewer user turns than `goes_on_to`.
    """

    instruction: str | None
    messages: str | None
    system: str | None
    more: str | None = None
    answer: str | None = None
    last_answer: Literal["drop", "refuse", "keep"] = "drop"
    goes_on_to: int = 0


def choose_inputs(source: DatasetSource, columns: Sequence[str] | None) -> Inputs:
    """Return the columns to read, and how; of responses that the source holds, prompts must not end with an answer.

    Raises SourceError.
    """
    chosen = _columns_to_read(source, columns)
    if source.responses is not None:
        return replace(chosen, last_answer="refuse")
    chosen = replace(chosen, answer=_answer_column(source, columns))
    if source.last_answer == "keep" and source.turns is not None:
        return replace(chosen, last_answer="keep", goes_on_to=source.turns.count)
    return chosen


def _answer_column(source: DatasetSource, columns: Sequence[str] | None) -> str | None:
    """Return the column of an answer that stands beside an instruction: the mapped one, else output."""
    return source.columns.get("answer") or ("output" if columns and "output" in columns else None)


def _columns_to_read(source: DatasetSource, columns: Sequence[str] | None) -> Inputs:
    """Return the columns to read, as mapped or by our names (messages first); columns are theirs, None where unknown.

    Raises:
        SourceError: For a mapped column that is not there, or where none can be chosen.
    """
    mapped = source.columns
    for ours, theirs in mapped.items():
        if columns is not None and theirs not in columns:
            raise SourceError(f"columns.{ours}: {source.path} has no column {theirs!r}: {nearest(theirs, columns)}")
    system = mapped.get("system")
    if "instruction" in mapped or "messages" in mapped:
        return Inputs(mapped.get("instruction"), mapped.get("messages"), system)
    if columns is None:
        return Inputs(None, "messages", system)
    if source.responses:
        return Inputs(None, "messages", system)
    if (found := usual_inputs(columns, tuple(mapped.values()))) is not None:
        return replace(found, system=system)
    raise SourceError(
        f"{source.path} has no column messages, conversations or instruction: map one, as in "
        f"columns: {{instruction: their_name}}; {nearest('instruction', columns)}"
    )


def usual_inputs(columns: Collection[str], mapped: Collection[str] = ()) -> Inputs | None:
    """Return the columns that make a prompt by their names, messages first; None where there are none.

    The column input belongs to the column instruction beside it, unless the recipe maps it.
    """
    if (found := next((name for name in _CONVERSATIONS if name in columns), None)) is not None:
        return Inputs(None, found, None)
    more = "input" if "input" in columns and "input" not in mapped else None
    return Inputs("instruction", None, None, more) if "instruction" in columns else None


def conversation(row: Mapping[str, Any], inputs: Inputs) -> Conversation:
    """Return the messages of a row, system first and the user last; a last answer is left out. Raises UnfitRowError."""
    if inputs.messages is not None:
        turns = turns_in(_cell(row, inputs.messages), inputs.messages)
    else:
        column = inputs.instruction or "instruction"
        text = _text(_cell(row, column), column)
        more = row.get(inputs.more) if inputs.more else None
        text = f"{text}\n\n{more}" if isinstance(more, str) and more.strip() else text
        turns = [{"role": "user", "content": text}, *_answer_turn(row, inputs.answer)]
    system = _system(row, inputs.system)
    messages = [{"role": "system", "content": system}, *turns] if system else turns
    return _ending_with_the_user(messages, inputs)


def asked_last(messages: Conversation) -> str:
    """Return the user's last words in a conversation that has some."""
    return next(message["content"] for message in reversed(messages) if message["role"] == "user")


def last_answer(row: Mapping[str, Any], inputs: Inputs) -> str | None:
    """Return the answer that a row ends with; None where it has none.

    Raises:
        UnfitRowError: If it is no prompt.
    """
    messages = conversation(row, replace(inputs, last_answer="keep", goes_on_to=sys.maxsize))
    return messages[-1]["content"] if messages[-1]["role"] == "assistant" else None


def _answer_turn(row: Mapping[str, Any], column: str | None) -> Conversation:
    """Return the answer in a column of its own, if the row has one."""
    value = row.get(column) if column else None
    return [{"role": "assistant", "content": value}] if isinstance(value, str) else []


def _cell(row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        raise UnfitRowError("missing_column", f"the row has no {column}")
    return row[column]


def _text(value: Any, column: str) -> str:
    if value is None:
        raise UnfitRowError("empty", f"{column} is null")
    if not isinstance(value, str):
        raise UnfitRowError("wrong_type", f"{column} is {kind_of(value)}, not text")
    if not value.strip():
        raise UnfitRowError("empty", f"{column} is blank")
    return value


def _system(row: Mapping[str, Any], column: str | None) -> str | None:
    """Return the text of a mapped system column; a row without one has no system message."""
    value = row.get(column) if column else None
    if value is None:
        return None
    if not isinstance(value, str):
        raise UnfitRowError("wrong_type", f"{column} is {kind_of(value)}, not text")
    return value if value.strip() else None


def _ending_with_the_user(messages: Conversation, inputs: Inputs) -> Conversation:
    """Return a conversation up to the user's last turn, or with an answer that is kept.

    Raises:
        UnfitRowError: If there is no turn of the user that can be answered.
    """
    roles = [message["role"] for message in messages]
    if "user" not in roles:
        raise UnfitRowError("no_user_turn", f"the roles are {', '.join(roles)}")
    if "system" in roles[1:]:
        raise UnfitRowError("bad_message", f"message {roles.index('system', 1) + 1} is by system, which may only begin")
    last = len(roles) - roles[::-1].index("user")
    if last < len(roles) and inputs.last_answer == "refuse":
        raise UnfitRowError("last_turn_not_user", f"the last of {len(roles)} messages is by {roles[-1]}")
    if not messages[last - 1]["content"].strip():
        raise UnfitRowError("empty", "the last user turn is blank")
    goes_on = inputs.last_answer == "keep" and roles.count("user") < inputs.goes_on_to
    is_answered = any(message["content"].strip() for message in messages[last : last + 1])
    return messages[: last + 1] if goes_on and is_answered else messages[:last]
