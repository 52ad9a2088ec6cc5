"""The lines that are printed while a command works, in the language of the command."""

import re
from collections.abc import Callable
from contextvars import copy_context
from functools import cache
from pathlib import Path

from kasasagi.flows.views.language import Language, current_language, say

_BETWEEN = "; "
_PLACE = re.compile(r"{(\w+)}")
_PARTS = re.compile(r", (?=about )")


def say_line(line: str) -> str:
    """Return a line in the language of this context; in English where its first clause has no translation.

    Lines are made in places that know of no language, such as the threads that send calls, so they are recognized by
    their words here. Names, commands and what a server answers stay as they are.
    """
    if current_language() is Language.en:
        return line
    first, *others = line.split(_BETWEEN)
    translation = _clause(first)
    if translation is None:
        return line
    return say(_BETWEEN).join([translation, *(_clause(other) or say(other) for other in others)])


def lines_in_this_language() -> Callable[[str], str]:
    """Return `say_line` for callers in threads that do not inherit the context."""
    context = copy_context()
    return lambda line: context.copy().run(say_line, line)


def _clause(clause: str) -> str | None:
    """Return the translation of a clause, None where there is none."""
    for pattern, japanese in _patterns():
        if (found := pattern.fullmatch(clause)) is not None:
            return japanese.format(**{name: _value(text) for name, text in found.groupdict().items()})
    return None


def _value(text: str) -> str:
    """Return a value in a clause; counts, bounds and the names of gates have translations of their own."""
    return "、".join(say(part) for part in _PARTS.split(text))


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    import yaml

    text = (Path(__file__).parent / "japanese.yaml").read_text(encoding="utf-8")
    return [(_pattern(english), japanese) for english, japanese in yaml.safe_load(text).items()]


def _pattern(english: str) -> re.Pattern[str]:
    """Return what a clause with any values matches."""
    return re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.sub(r"[^\w\s{}]", r"\\\g<0>", english)))
