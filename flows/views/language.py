"""The language of headings and sentences on the terminal and in a report: English, or Japanese."""

import os
import re
from collections.abc import Sequence
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TypeVar

from kasasagi.flows.errors import UsageError
from kasasagi.flows.views.safe_text import nearest

T = TypeVar("T")
VARIABLE = "KASASAGI_LANGUAGE"
_NUMBER = re.compile(r"(?<![\w.])-?(?:<?\$)?\d[\d,]*(?:\.\d+)?%?")


class Language(StrEnum):
    """A language that views speak."""

    en = "en"
    ja = "ja"


_LANGUAGE = ContextVar("language", default=Language.en)


def preferred_language() -> Language:
    """Return the language that the environment asks for: KASASAGI_LANGUAGE, else the locale's, else English.

    Raises:
        UsageError: If KASASAGI_LANGUAGE is neither a language nor a locale of one.
    """
    known = list(map(str, Language))
    if (wanted := os.environ.get(VARIABLE)) and wanted[:2].lower() not in known:
        raise UsageError(f"{VARIABLE}: {wanted!r} is none of {', '.join(known)}{nearest(wanted[:2], known)}")
    names = (os.environ.get(name) for name in (VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG"))
    return Language.ja if next(filter(None, names), "").lower().startswith("ja") else Language.en


def set_language(language: Language | None) -> None:
    """Set the language of this context; None keeps it."""
    if language is not None:
        _LANGUAGE.set(language)


def current_language() -> Language:
    """Return the language of this context."""
    return _LANGUAGE.get()


def say(text: str, **values: object) -> str:
    """Return a text of ours in the language of this context; in English where there is no translation.

    Args:
        text: English text; numbers in it are taken over, so that "3 pairs" and "4 pairs" are one entry.
        values: What the text's {names} stand for, such as a run's id; it is not translated.
    """
    translation = None if _LANGUAGE.get() is Language.en else _japanese().get(_NUMBER.sub("{}", text))
    if translation is None:
        return text.format(**values) if values else text
    return translation.format(*_NUMBER.findall(text), **values)


def say_names(columns: Sequence[tuple[str, T]]) -> list[tuple[str, T]]:
    """Return a table's columns with their headings in the language of this context."""
    return [(say(name), kind) for name, kind in columns]


def page_words() -> dict[str, str]:
    """Return the translations that a page's script needs; none in English."""
    return {} if _LANGUAGE.get() is Language.en else dict(_japanese())


@cache
def _japanese() -> dict[str, str]:
    import yaml

    return dict(yaml.safe_load((Path(__file__).parent / "japanese.yaml").read_text(encoding="utf-8")))
