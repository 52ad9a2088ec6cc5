"""Markdown that says what it was given: text from models, data or recipes cannot become markup."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

CELL_CHARACTERS = 200
_PLAIN = re.compile(r"[\w.,%()+/ -]*", re.ASCII)
_SPECIAL = re.compile(r"([\\`*_{}\[\]|~#!$^:@])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_MASK = "***"
_SECRET_NAME = re.compile(
    r"(?i)(?:.*[_-])?(?:api[_-]?key|authorization|password|passwd|secret|credentials?|(?:access|auth|api|hf|bearer)[_-]?token)"
    r"|token"
)
_SECRET_TEXT = re.compile(
    r"\b(?:(?:sk|hf|gsk|xai|pk|ak|r8|nvapi|ghp|github_pat|glpat|xox[abp])[-_][A-Za-z0-9_-]{8,}|AIza[A-Za-z0-9_-]{20,}"
    r"|AKIA[A-Z0-9]{12,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]{10,})"
    r"|(?<=Bearer )[^\s\"']{6,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=[?&])(?:api[-_]?key|key|token|sig|signature|code)=[^&\s#]+"
)


def cell(value: Any) -> str:
    """Return a value as the text of one table cell or of a sentence: one line, short, and nothing but text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    text = " ".join(_CONTROL.sub(" ", "" if value is None else masked_text(str(value))).split())
    text = text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"
    return text if _PLAIN.fullmatch(text) else _SPECIAL.sub(r"\\\1", html.escape(text, quote=False))


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; columns in which the first row holds a number stand at the right."""
    body = [list(row) for row in rows]
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in body[0]] if body else []
    marks = ["---:" if number else "---" for number in numbers] or ["---"] * len(header)
    lines = [list(header), marks, *([cell(value) for value in row] for row in body)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code_block(text: str, language: str = "") -> str:
    """Return a code block whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def mask_secrets(value: Any) -> Any:
    """Return a recipe's data with everything that looks like a key replaced by ***; a recipe should hold none."""
    if isinstance(value, dict):
        return {name: _MASK if _is_secret(name, entry) else mask_secrets(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [mask_secrets(entry) for entry in value]
    return masked_text(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """Return a text with everything that looks like a key replaced by ***."""
    return _SECRET_TEXT.sub(_MASK, text)


def _is_secret(name: Any, value: Any) -> bool:
    return isinstance(value, str) and isinstance(name, str) and _SECRET_NAME.fullmatch(name) is not None
