"""Words behind a rating: whether they fit its number, or may mean another one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

from kasasagi.tasks.judge.replies.vocabulary import GRADED, PARTS, Band, Kind, Part

_SENTENCE_WORDS, _SENTENCE_SIGNS = 5, 10
_UNKNOWN_SHARE = 0.35
_JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_BLANKS = re.compile(r"\s+")
_WORD = re.compile(r"[a-z]+(?:['’/.-][a-z]+)*|[^\sa-z]")
_MARKS = re.compile("[,;.、。，・!()\"'“”「」/ \u3000-]")
_HIRAGANA = re.compile("[\u3041-\u309f]")
_NEGATED = re.compile(
    r"[あくけでてにとはもつじゃいおまりえれっさしきわちたら言限]{0,7}?(?:ない|なく|なかっ|ません|ず(?![つに]))|[くでは]{0,3}(?:無い|なし)"
)
_NO_FLAW = re.compile(
    r"(?:る|た|い)?(?:所|点|箇所|もの|余地)?(?:が|は|も|の)?"
    r"(?:一切|全く|まったく|全然|特に|(?:何|なに)?(?:一|ひと)つ(?:も|として)?|一(?:箇所|か所|点)も|[何な]に?も|どこにも|少しも"
    r"|(?P<mostly>ほとんど|ほぼ)|[、\s]){0,3}"
    r"(?:ない|なく|なし|無し|無い|ありません|見られない|見られず|見当たらない|見当たらず|見つからない|見つからず)"
)
_PROBLEMS = ("問題が", "問題は", "問題も")
"""A flaw where there are some or none, but also what the instruction asks: "問題は解けている" praises."""
_THERE_ARE = re.compile(r"[^、。]{0,6}?(?:あ[るりっ]|多[いくか]|見ら|見受け|残|含|目立|散見)")
_LONE_NEGATION = re.compile(r"ない|なく|なかっ|ません|なし|無し|無い|ず(?![つに])")
_BUT = re.compile(r"(?<=[いただるすぬん])が(?!い)")
_COUNTS = ("one", "few", "little", "only", "just")
_SUSPICIOUS = re.compile(r"(?:un|in|im|ir|il|mis|dis|non|anti|mal|over|under|ab|counter)[a-z-]{3,}|[a-z]+(?:less|n't)")


@dataclass(frozen=True, slots=True)
class RatingScale:
    """The numbers that a judge may give, and the words that its scale has for some of them."""

    lowest: int
    highest: int
    halves: bool = False
    labels: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def grade(self, rating: Fraction) -> float:
        """Return a rating as a grade from 1 to 5."""
        return 1 + 4 * float((rating - self.lowest) / (self.highest - self.lowest))

    @property
    def step(self) -> float:
        """One step of the scale in grades; on a short scale no more than a quarter of it."""
        return min(1.0, 4 / (self.highest - self.lowest))

    def named(self, label: str) -> list[int]:
        """Return the numbers for which the scale itself has these words."""
        words = _bare(label)
        return [number for number, names in self.labels.items() if words in map(_bare, names)]


@dataclass(frozen=True, slots=True)
class RatingUnit:
    """One judgement of a label: praise, blame, or something between, and the grades that it fits."""

    kind: Kind
    band: Band


def fits(label: str, rating: Fraction, scale: RatingScale, *, as_sentence: bool) -> bool:
    """Return whether the words behind a rating fit its number, and cannot mean another one.

    The scale's own words fit only their own number. Others fit where all of them are known and each judgement fits
    within a step of the scale, or where praise and blame enclose a number that is no end of the scale.

    Args:
        label: The words.
        rating: The number.
        scale: The scale of the number.
        as_sentence: Whether the words may be a sentence, some of whose words need not be known.
    """
    own = scale.named(label)
    if own:
        return any(abs(rating - number) <= (Fraction(1, 2) if scale.halves else 0) for number in own)
    units = _units(label.lower(), as_sentence=as_sentence)
    if not units:
        return False
    grade, step = scale.grade(rating), scale.step
    if all(unit.band[0] - step <= grade <= unit.band[1] + step for unit in units):
        return True
    kinds = {unit.kind for unit in units}
    enclosed = min(unit.band[0] for unit in units) <= grade <= max(unit.band[1] for unit in units)
    return "praise" in kinds and len(kinds) > 1 and enclosed and scale.lowest < rating < scale.highest


def _bare(label: str) -> str:
    return _BLANKS.sub(" ", label).strip(" .。!").casefold()


def _units(label: str, *, as_sentence: bool) -> list[RatingUnit]:
    """Return the judgements of a label; none where it has none, or words that may be anything."""
    if _JAPANESE.search(label):
        if any(_table().get(word, "neutral") != "neutral" for word in _WORD.findall(label) if word.isascii()):
            return []
        parsed = _Parsed(sum(1 for sign in label if not _MARKS.match(sign)), _SENTENCE_SIGNS)
        _parse_japanese(label, parsed)
    else:
        words = _WORD.findall(label.replace("’", "'"))
        parsed = _Parsed(sum(1 for word in words if word[0].isalpha()), _SENTENCE_WORDS)
        _parse_english(words, parsed)
    return parsed.judgements(as_sentence=as_sentence)


@dataclass(slots=True)
class _Parsed:
    """What has been found in a label so far, and the words whose noun or adjective is still to come."""

    size: int
    sentence: int
    units: list[RatingUnit] = field(default_factory=list)
    pending: set[Part] = field(default_factory=set)
    unknown: int = 0
    doubtful: bool = False
    lone: bool = False
    clause: int = 0
    lone_in_clause: bool = False

    def grade(self, kind: Kind, band: Band, *, negated: bool = False) -> None:
        """Add a judgement, as the words before it change it."""
        parts: set[Part] = self.pending | {"not"} if negated else set(self.pending)
        unit = _changed(kind, band, parts)
        self.doubtful = self.doubtful or unit is None
        self.units += [unit] if unit else []
        self.pending.clear()

    def part(self, part: Part) -> None:
        """Take a word that grades nothing by itself."""
        if part == "doubt":
            self.doubtful = True
        elif part == "break":
            self.end_clause()
        elif part != "neutral":
            self.doubtful = self.doubtful or (part == "not" and "not" in self.pending)
            self.pending.add(part)

    def end_clause(self) -> None:
        """Take the end of a clause; a negation of nothing that is known is a flaw.

        Beside a judgement it may change that one, as in "explains nothing", so the label is doubtful. So it is where
        one clause praises and blames, as in "a perfect failure", or only lessens, as in "covers small parts".
        """
        kinds = {unit.kind for unit in self.units[self.clause :]}
        lone = self.lone_in_clause or "not" in self.pending
        mixed = "praise" in kinds and kinds & {"blame", "flaw"}
        lessens = self.pending & {"slightly", "partly"}
        self.doubtful = self.doubtful or bool(mixed or (kinds and lone) or ("praise" in kinds and lessens))
        self.lone = self.lone or lone
        self.clause, self.lone_in_clause = len(self.units), False
        self.pending.clear()

    def judgements(self, *, as_sentence: bool) -> list[RatingUnit]:
        """Return all judgements, none where anything is doubtful."""
        self.end_clause()
        known = self.unknown <= (self.size * _UNKNOWN_SHARE if as_sentence and self.size >= self.sentence else 0)
        if self.doubtful or not known or not self.units:
            return []
        return [*self.units, *([RatingUnit("flaw", (1.0, 2.9))] if self.lone else [])]


def _changed(kind: Kind, band: Band, parts: set[Part]) -> RatingUnit | None:
    """Return a judgement behind some modifying words, None where it is not clear what they make of it."""
    if "not" in parts:
        return _denied(kind, parts)
    table: dict[tuple[Kind, Part], Band] = {
        ("praise", "partly"): (2.5, 3.5),
        ("praise", "slightly"): (2.0, 3.0),
        ("praise", "mostly"): (3.5, 4.25),
        ("praise", "very"): (4.25, 5.0),
        ("blame", "partly"): (2.0, 3.25),
        ("blame", "slightly"): (3.0, 3.75),
        ("blame", "mostly"): (1.25, 2.25),
        ("blame", "very"): (1.0, 1.5),
        ("blame", "greatly"): (1.0, 2.0),
        ("flaw", "partly"): (2.5, 3.5),
        ("flaw", "slightly"): (3.25, 3.75),
        ("flaw", "greatly"): (1.0, 2.0),
        ("flaw", "mostly"): (1.0, 2.25),
        ("flaw", "very"): (1.0, 2.0),
    }
    found = [table[kind, part] for part in sorted(parts) if (kind, part) in table]
    return RatingUnit(kind, found[0] if found else band) if len(found) < 2 else None


def _denied(kind: Kind, parts: set[Part]) -> RatingUnit | None:
    """Return what is left of a judgement that is denied."""
    if kind == "praise":
        return RatingUnit("blame", (1.75, 3.0) if parts & {"very", "mostly"} else (1.0, 1.75))
    if kind == "flaw":
        return RatingUnit("praise", (3.5, 4.75) if parts & {"greatly", "mostly"} else (4.5, 5.0))
    return RatingUnit("blame", (1.0, 2.0)) if kind == "middle" else None


@cache
def _table() -> dict[str, tuple[Kind, Band] | Part]:
    """Return all words of the vocabulary with what they are."""
    table: dict[str, tuple[Kind, Band] | Part] = {}
    for entry, words in [*reversed(PARTS.items()), *GRADED.items()]:
        table |= {_BLANKS.sub(" ", word).strip(): entry for word in words.split("|")}
    return table


@cache
def _longest_first() -> re.Pattern[str]:
    """Return a pattern that finds the longest Japanese word of the vocabulary at a place."""
    words = sorted((word for word in _table() if _JAPANESE.search(word)), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, words)))


def _parse_english(words: Sequence[str], parsed: _Parsed) -> None:
    place = 0
    while place < len(words):
        size = next((size for size in range(6, 0, -1) if " ".join(words[place : place + size]) in _table()), 1)
        phrase = " ".join(words[place : place + size])
        if phrase in _COUNTS and _counts(words[place + 1 :]):
            parsed.part("neutral" if phrase in ("only", "just") else "slightly")
        else:
            _take(phrase, parsed)
        place += size


def _counts(words: Sequence[str]) -> bool:
    """Return whether a word such as "one" before some words counts what is wrong, as in "misses one point"."""
    nouns = ("point", "detail", "part", "fact", "step", "thing")
    for word in words[:3]:
        found = _table().get(word)
        if word in nouns or (isinstance(found, tuple) and found[0] == "flaw"):
            return True
        if found not in ("slightly", "greatly", "neutral"):
            return False
    return False


def _take(phrase: str, parsed: _Parsed) -> None:
    found = _table().get(phrase)
    if isinstance(found, tuple):
        parsed.grade(*found)
    elif found is not None:
        parsed.part(found)
    elif _MARKS.fullmatch(phrase):
        parsed.part("neutral" if phrase in "\"'“”-" else "break")
    else:
        parsed.unknown += 1
        parsed.doubtful = parsed.doubtful or _SUSPICIOUS.fullmatch(phrase) is not None or not phrase[0].isalpha()


def _parse_japanese(label: str, parsed: _Parsed) -> None:
    place = 0
    while place < len(label):
        place = _japanese_step(label, place, parsed)


def _japanese_step(label: str, place: int, parsed: _Parsed) -> int:
    """Take the word at a place, and return the place behind it."""
    found = _longest_first().match(label, place)
    entry = _table()[found[0]] if found else None
    if found and isinstance(entry, tuple):
        return _graded(label, found, entry, parsed)
    if found and isinstance(entry, str):
        parsed.part(entry)
        return found.end()
    if lone := _LONE_NEGATION.match(label, place):
        parsed.lone_in_clause = True
        return lone.end()
    if _BUT.match(label, place):
        parsed.end_clause()
    else:
        _take_sign(label[place], parsed)
    return place + 1


def _graded(label: str, found: re.Match[str], entry: tuple[Kind, Band], parsed: _Parsed) -> int:
    """Take a word that judges with the negation behind it, and return the place behind them."""
    negation = (_NO_FLAW if entry[0] == "flaw" else _NEGATED).match(label, found.end())
    twice = negation is not None and _LONE_NEGATION.search(found[0]) is not None
    unclear = found[0] in _PROBLEMS and negation is None and not _THERE_ARE.match(label, found.end())
    parsed.doubtful = parsed.doubtful or twice or unclear
    if negation and negation.groupdict().get("mostly"):
        parsed.pending.add("mostly")
    parsed.grade(*entry, negated=negation is not None)
    return negation.end() if negation else found.end()


def _take_sign(sign: str, parsed: _Parsed) -> None:
    if _MARKS.match(sign):
        parsed.end_clause()
    elif not _HIRAGANA.match(sign):
        parsed.unknown += 1
        parsed.doubtful = parsed.doubtful or not sign.isalnum()
