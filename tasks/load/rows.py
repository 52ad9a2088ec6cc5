"""One row of a source as a conversation that waits for an answer, or the reason why it is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blocks.nearest import nearest
from tasks.load.config import DatasetSource, SourceError

Conversation = list[dict[str, str]]
_ROLES = ("system", "user", "assistant")


class UnfitRowError(Exception):
    """A row that cannot be a prompt: a stable reason and what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Inputs:
    """Their columns that make a prompt: the instruction or the messages, and the system text where one is mapped."""

    instruction: str | None
    messages: str | None
    system: str | None


def choose_inputs(source: DatasetSource, columns: Sequence[str] | None) -> Inputs:
    """The columns to read, as mapped or by our names (messages first); columns are theirs, None where unknown.

    Raises SourceError for a mapped column that is not there, or where none can be chosen.
    """
    mapped = source.columns
    for ours, theirs in mapped.items():
        if columns is not None and theirs not in columns:
            raise SourceError(f"columns.{ours}: {source.path} has no column {theirs!r}: {nearest(theirs, columns)}")
    system = mapped.get("system")
    if "instruction" in mapped or "messages" in mapped:
        return Inputs(mapped.get("instruction"), mapped.get("messages"), system)
    if columns is None or "messages" in columns or source.responses:
        return Inputs(None, "messages", system)
    if "instruction" in columns:
        return Inputs("instruction", None, system)
    raise SourceError(
        f"{source.path} has no column messages or instruction: map one, as in columns: {{instruction: their_name}}; "
        f"{nearest('instruction', columns)}"
    )


def conversation(row: Mapping[str, Any], inputs: Inputs) -> Conversation:
    """The messages of a row, system first and the user last. Raises UnfitRowError."""
    if inputs.messages is not None:
        turns = _turns(_cell(row, inputs.messages), inputs.messages)
    else:
        column = inputs.instruction or "instruction"
        turns = [{"role": "user", "content": _text(_cell(row, column), column)}]
    system = _system(row, inputs.system)
    messages = [{"role": "system", "content": system}, *turns] if system else turns
    _check_order(messages)
    return messages


def _cell(row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        raise UnfitRowError("missing_column", f"the row has no {column}")
    return row[column]


def _text(value: Any, column: str) -> str:
    if value is None:
        raise UnfitRowError("empty", f"{column} is null")
    if not isinstance(value, str):
        raise UnfitRowError("wrong_type", f"{column} is {_kind(value)}, not text")
    if not value.strip():
        raise UnfitRowError("empty", f"{column} is blank")
    return value


def _system(row: Mapping[str, Any], column: str | None) -> str | None:
    """The text of a mapped system column; a row without one has no system message."""
    value = row.get(column) if column else None
    if value is None:
        return None
    if not isinstance(value, str):
        raise UnfitRowError("wrong_type", f"{column} is {_kind(value)}, not text")
    return value if value.strip() else None


def _turns(value: Any, column: str) -> Conversation:
    if value is None or value == []:
        raise UnfitRowError("empty", f"{column} is {'null' if value is None else 'an empty list'}")
    if not isinstance(value, list):
        raise UnfitRowError("wrong_type", f"{column} is {_kind(value)}, not a list of messages")
    return [_turn(turn, number) for number, turn in enumerate(value, 1)]


def _turn(turn: Any, number: int) -> dict[str, str]:
    if not isinstance(turn, dict):
        raise UnfitRowError("bad_message", f"message {number} is {_kind(turn)}, not an object")
    role, content = turn.get("role"), turn.get("content")
    if role not in _ROLES:
        raise UnfitRowError(
            "bad_message", f"message {number} has the role {str(role)[:40]!r}, not system, user or assistant"
        )
    if not isinstance(content, str):
        raise UnfitRowError("bad_message", f"message {number} has {_kind(content)} as its content, not text")
    return {"role": role, "content": content}


def _check_order(messages: Conversation) -> None:
    roles = [message["role"] for message in messages]
    if "user" not in roles:
        raise UnfitRowError("no_user_turn", f"the roles are {', '.join(roles)}")
    if roles[-1] != "user":
        raise UnfitRowError("last_turn_not_user", f"the last of {len(roles)} messages is by {roles[-1]}")
    if "system" in roles[1:]:
        raise UnfitRowError("bad_message", f"message {roles.index('system', 1) + 1} is by system, which may only begin")
    if not messages[-1]["content"].strip():
        raise UnfitRowError("empty", "the last user turn is blank")


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
