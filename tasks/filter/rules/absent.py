"""Mentions of things that a prompt must hold: a picture, a table, a list of choices, an earlier talk, a project.

Each list has patterns of one kind; `rules.context` decides whether the thing stands in the prompt after all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kasasagi.tasks.filter.rules import absent_english as english
from kasasagi.tasks.filter.rules import absent_japanese as japanese
from kasasagi.tasks.text.patterns import lazy_pattern


@dataclass(frozen=True, slots=True)
class Mentions:
    """Patterns of the mentions in a text without capitals, by kind."""

    absent: re.Pattern[str]
    """A thing that must stand somewhere in the prompt."""
    choice: re.Pattern[str]
    """A choice among things that must be named."""
    earlier: re.Pattern[str]
    """Something that was said before."""
    projects: re.Pattern[str]
    """A project that the reader is supposed to know."""


def _either(patterns: Sequence[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def _at_words(patterns: Sequence[str]) -> str:
    """Return a pattern for several that is tried where a word begins alone, which is several times as quick."""
    return rf"(?<!\w)(?:{_either(patterns)})"


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return lazy_pattern(_either(patterns))


_IN_ENGLISH = Mentions(
    _any_of([_at_words(english.THINGS)]),
    _any_of(english.CHOICES),
    _any_of([english.EARLIER]),
    _any_of([english.PROJECTS]),
)
_IN_JAPANESE = Mentions(
    _any_of(japanese.THINGS), _any_of(japanese.CHOICES), _any_of([japanese.EARLIER]), _any_of([japanese.PROJECTS])
)
_IN_BOTH = Mentions(
    _any_of([*japanese.THINGS, _at_words(english.THINGS)]),
    _any_of([*japanese.CHOICES, *english.CHOICES]),
    _any_of([japanese.EARLIER, english.EARLIER]),
    _any_of([japanese.PROJECTS, english.PROJECTS]),
)
_SOME_ENGLISH = lazy_pattern(r"[a-z]{2,} [a-z]{2,} [a-z]")
TITLED = _any_of(japanese.WORKS)
"""A work that must be named or stand in the prompt."""


def mentions_in(text: str) -> Mentions:
    """Return the patterns for a text: of one language alone where the other cannot be there, which is quicker."""
    if text.isascii():
        return _IN_ENGLISH
    return _IN_BOTH if _SOME_ENGLISH.search(text) else _IN_JAPANESE


_ADVICE_ENGLISH = lazy_pattern(
    r"\bhow (?:do|does|did|can|could|should|would|to|might|long|often)\b|\b(?:tips?|ways?|advice|steps|methods?"
    r"|techniques?) (?:for|to|on)\b"
    r"|\bbest way\b|\bwhat (?:is|are) (?:a|an)\b"
)
_ADVICE_JAPANESE = lazy_pattern(
    r"方法|コツ|やり方|仕方|しかた|書き方|作り方|読み方|使い方|手順(?![0-9０-９])|観点|基準|秘訣|注意点|ポイントは"
    r"|どうすれば"
    r"|どうしたら|には[？?]?\s*\Z|ときの|際の|力を"
)
_SOFTWARE = lazy_pattern(
    r"\b(?:python|javascript|typescript|java|html|css|sql|excel|photoshop|latex|opencv|markdown|matplotlib"
    r"|powerpoint|pandas"
    r"|google (?:docs|sheets|slides)|microsoft word|vba|bash|linux|api|pytorch|tensorflow|regex|web ?site|web ?page"
    r"|algorithm"
    r"|software|(?:write|create|build|implement|develop) an? (?:\w+ ){0,2}(?:script|program|app|function|class|bot"
    r"|tool))\b"
)
_OF_CODE = lazy_pattern(
    r"code|program|script|function|snippet|query|attach|sent|gave|shared|pasted|コード|プログラム|添付"
)


def is_advice(own: str, mention: re.Match[str]) -> bool:
    """Return whether a mention stands in a question about how something is done at all, or with a program.

    In English what asks for advice stands before the mention: "Based on the graph, how did sales change?" asks none.
    """
    if _ADVICE_ENGLISH.search(own, 0, mention.start()) or _ADVICE_JAPANESE.search(own):
        return True
    return _OF_CODE.search(mention[0]) is None and _SOFTWARE.search(own) is not None


CHOICES = lazy_pattern(
    r",|;| or |\bbetween\b|、|か、|_{2,}|＿{2,}|\.{3,}|…|[①②③]|(?:^|\s)[a-dａ-ｄア-エ][).．）]", re.MULTILINE
)
"""What stands in a question that names its choices."""
