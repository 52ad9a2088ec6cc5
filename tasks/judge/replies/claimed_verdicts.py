"""What texts and lines claim of a rating or a comparison: a class of labels and a value, in whatever form they have."""

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kasasagi.tasks.judge.replies.lines import HEAD_CHARS, LEADING, PLAIN

_NUMBERS = {
    word: str(number)
    for words in ("zero one two three four five six seven eight nine ten", "零 一 二 三 四 五 六 七 八 九 十")
    for number, word in enumerate(words.split())
}
_ROMAN = {
    "i": "1",
    "ii": "2",
    "iii": "3",
    "iv": "4",
    "v": "5",
    "vi": "6",
    "vii": "7",
    "viii": "8",
    "ix": "9",
    "x": "10",
}
_QUALIFIERS = {
    **dict.fromkeys(("final", "last", "最終", "最後の", "結論の"), "final"),
    **dict.fromkeys(("overall", "total", "総合", "全体の"), "overall"),
    **dict.fromkeys(("my", "own", "私の", "自分の"), "my"),
    "the": "",
}
_ALL_QUALIFIERS = rf"(?:(?:{'|'.join(_QUALIFIERS)})[\s_-]{{0,5}}){{0,3}}"
_QUALIFIED = re.compile(rf"{_ALL_QUALIFIERS}\Z")
_LONGEST_QUALIFIERS = 40
_ESCAPES = re.compile(r"\\u([0-9a-fA-F]{4})|\\+([nrt])")
_TAGS = re.compile(r"</?[a-z][^<>\n]{0,80}>")
_HIDDEN = re.compile("[\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff*`]")
_CAPITAL_WITHIN = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OTHER_DIGITS = re.compile(r"(?![0-9])\d")
_STARS = re.compile(r"[★⭐]{1,10}")
_SPELLED = re.compile(r"(?<![a-z])(?:[a-z][ ._-]){3,16}[a-z](?![a-z])")
_LOOKALIKES = str.maketrans("аеорсухіѕјԁԍոɡıοαυν", "aeopcyxisjdgngioauv")
"""Cyrillic, Armenian, Greek and other letters that look like Latin ones."""
_GAP = r"(?:[^\w.。!?]|_|\.\.++){0,12}"
_OF_TEXT = r"(?:\s{0,5}(?:for|of|の)?\s{0,5}(?:the\s)?(?:text|response|answer|文章)\s{0,5}[0-9]{1,3}(?=\D))?"
_BRACKETS = r"(?:\]?\s{0,5}[(\[{<‹【「][^()\[\]{}<>【】\n]{0,120}[)\]}>›】」]){1,2}"
_BETWEEN = rf"{_GAP}(?:(?:is|was|to be|as|は|が|を){_GAP})?"
_BEFORE_COLON = rf"[^\n.。!?:=]{{0,24}}[:=]{_GAP}(?:[a-z]{{1,10}}[^\w.。!?]{{1,6}})?"
_MEMBER = r"(?:\.|[^\w.。!?]{0,6}<)[a-z]{1,10}[^\w.。!?]{1,6}"
_NUMBER = (
    r"(?:[0-9]{1,3}\s?点?(?:満点)?中\s?|満点の)?(?P<value>[0-9]+(?:\.[0-9]+)?(?![0-9])"
    rf"|(?:{'|'.join(_NUMBERS)})(?![a-z])|i(?![\s'’]*[a-z])|(?:{'|'.join([*_ROMAN][:0:-1])})(?![\w'’]))"
)
_RANGE = re.compile(r"[ \t]*(?:[-–—~〜]|to|から)[ \t]*[0-9]+(?![0-9]|\.[0-9]|[ \t]*/)")
_WHOLE = re.compile(r"\s*(?:点|points?)?\s*(?:(?:/|out of)\s*[0-9]+\s*点?)?\s*[.。]?\s*")

Claim = tuple[str, str]
"""A class of labels, and the value behind the label."""


def plain_text(text: str) -> str:
    """Return a text as claims are looked for in it: without marks, tags, escapes, capitals and compatibility forms."""
    return _TAGS.sub("", _HIDDEN.sub("", _normal(_unescaped(text).translate(PLAIN))))


def _plain_texts(text: str) -> Iterable[str]:
    """Return a text as claims are looked for in it in every way in which a judge may read it.

    Tags and hidden signs join or divide the words beside them, and a tag's own words may be the label.
    """
    unescaped = _CAPITAL_WITHIN.sub(" ", _unescaped(text))
    divided = _normal(_HIDDEN.sub(" ", unescaped).translate(PLAIN))
    spelled = _SPELLED.sub(lambda found: re.sub("[ ._-]", "", found[0]), divided)
    return {plain_text(text), _TAGS.sub(" ", divided), divided, spelled}


def _unescaped(text: str) -> str:
    text = html.unescape(text) if "&" in text else text
    return _ESCAPES.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text) if "\\" in text else text


def _normal(text: str) -> str:
    """Return a text in small Latin letters and ASCII digits, where it has others of the same look or meaning."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text).lower().translate(_LOOKALIKES)
    return _STARS.sub(
        lambda found: str(len(found[0])), _OTHER_DIGITS.sub(lambda found: str(unicodedata.digit(found[0])), text)
    )


@dataclass(frozen=True)
class ClaimForm:
    """How one kind of verdict is claimed: its labels by their classes, and the pattern of its value.

    asked is the class of the label that the judge is asked for. values are other words for a value.
    """

    asked: str
    labels: Mapping[str, str]
    value: str
    values: Mapping[str, str]

    def claims(self, texts: Iterable[str]) -> frozenset[Claim]:
        """Return all that some texts claim, each under its full label and under the label's bare class.

        The beginning of a range, such as 1 in "Rating: 1-5", is no claim.
        """
        return frozenset(claim for text in texts for plain in _plain_texts(text) for claim in self._claims(plain))

    def json_values(self, texts: Iterable[str]) -> frozenset[str]:
        """Return the values that some texts claim as JSON."""
        return frozenset(self._value(found) for text in texts for found in self._json.finditer(plain_text(text)))

    def of_line(self, raw: str) -> tuple[Claim, str] | None:
        """Return what a line claims, under its full label, and the words behind the label; None if it claims nothing.

        Behind another label than the one that was asked for, nothing may follow the value.
        """
        found = self._line.fullmatch(plain_text(raw.lstrip(LEADING)[:HEAD_CHARS]).strip())
        if found is None:
            return None
        label = self._label(found["label"], found["qualifiers"])
        if label != self.asked and not _WHOLE.fullmatch(found["rest"]):
            return None
        return (label, self._value(found)), found["words"].strip()

    def normal(self, value: str) -> str:
        """Return a value as claims have it: a number in its shortest form, a word under its usual name."""
        named = self.values.get(value, value)
        return f"{float(named):g}" if named.replace(".", "", 1).isdigit() else named

    def _claims(self, text: str) -> Iterable[Claim]:
        # Most texts have none of the labels, and finding that out costs a fraction of the search.
        patterns = self._anywhere if any(label in text for label in self.labels) else ()
        for found in (found for pattern in patterns for found in pattern.finditer(text)):
            if found["value"] not in ("0", "1") or not _RANGE.match(text, found.end("value")):
                qualifiers = _QUALIFIED.search(text, max(0, found.start() - _LONGEST_QUALIFIERS), found.start())
                yield self._label(found["label"], qualifiers[0] if qualifiers else ""), self._value(found)
                yield self.labels[found["label"]], self._value(found)

    def _label(self, label: str, qualifiers: str) -> str:
        words = re.findall("|".join(_QUALIFIERS), qualifiers)
        kinds = sorted({_QUALIFIERS[word] for word in words} - {""})
        return " ".join([*kinds, self.labels[label]])

    def _value(self, found: re.Match[str]) -> str:
        return self.normal(found["value"])

    @cached_property
    def _names(self) -> str:
        return rf"(?P<label>{'|'.join(sorted(self.labels, key=len, reverse=True))})"

    @cached_property
    def _anywhere(self) -> Sequence[re.Pattern[str]]:
        """Patterns of a label with a value directly behind it, behind brackets or a colon, or in a member."""
        ways = (f"{_OF_TEXT}{_BETWEEN}", f"{_BRACKETS}{_OF_TEXT}{_BETWEEN}", _BEFORE_COLON, _MEMBER)
        return [re.compile(rf"(?<![a-z]){self._names}(?={way}{self.value})") for way in ways]

    @cached_property
    def _line(self) -> re.Pattern[str]:
        return re.compile(rf"(?P<qualifiers>{_ALL_QUALIFIERS}){self._names}\s*:\s*(?P<words>{self.value}(?P<rest>.*))")

    @cached_property
    def _json(self) -> re.Pattern[str]:
        asked = "|".join(name for name, label in self.labels.items() if label == self.asked)
        return re.compile(rf"[\"'“”]\s*(?:{asked})\s*\\*[\"'“”]\s*:[\s\\\"'“”]*{self.value}")


RATINGS = ClaimForm(
    "rating",
    {
        **dict.fromkeys(("rating", "ratings", "評点", "評価"), "rating"),
        **dict.fromkeys(("score", "scores", "点数", "得点", "スコア", "採点"), "score"),
        **dict.fromkeys(("verdict", "grade", "総評", "判定", "結論"), "verdict"),
    },
    _NUMBER,
    _NUMBERS | _ROMAN,
)
COMPARISONS = ClaimForm(
    "better",
    {
        **dict.fromkeys(("better", "better text", "優れている方", "優れているほう"), "better"),
        **dict.fromkeys(("winner", "勝者", "勝ち"), "winner"),
        **dict.fromkeys(("best", "最良"), "best"),
        **dict.fromkeys(("preferred", "preferred text", "preference"), "preference"),
        **dict.fromkeys(("verdict", "判定", "結論"), "verdict"),
    },
    r"(?:(?:text|response|answer|文章)\s*)?(?P<value>[12](?![0-9]|\.[0-9])|[一二]"
    r"|(?:one|two|(?:the )?(?:first|second))(?![a-z])|(?:a )?tie(?![a-z])|同等|引き分け"
    r"|ii?(?![\w'’]|\s+[a-z]))",
    {
        **_NUMBERS,
        **_ROMAN,
        **dict.fromkeys(("first", "the first"), "1"),
        **dict.fromkeys(("second", "the second"), "2"),
        **dict.fromkeys(("tie", "a tie", "同等", "引き分け"), "tie"),
    },
)
