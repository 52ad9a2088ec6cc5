"""Families of questions: templates with slots, the truth behind them, and the tasks that they make."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from math import prod

from kasasagi.hina.world.entry import Entry, Lang

Value = Entry | int | str
Values = Mapping[str, Value]
LANGS: tuple[Lang, Lang] = ("en", "ja")
FIELD = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
ANY_VALUE = r"(\d+|[^.。\n?？!！]+?)"
NUMBER = r"(0|[1-9]\d{0,2})"
POLARITY_TRIES = 60
NAME_FORMS = frozenset({"", "a", "A", "C", "pl", "Pl", "en", "ja"})


def show(value: Value, lang: Lang, form: str = "") -> str:
    """Return a value as it stands in a text; a form that names another entry among the facts shows that entry."""
    if isinstance(value, Entry):
        other = value.facts.get(form)
        return other.form(lang) if isinstance(other, Entry) else value.form(lang, form)
    return str(value)


class Template:
    """A text with fields: `{slot}` or `{slot.form}`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fields = [(m[1], m[2] or "") for m in FIELD.finditer(text)]
        literals = FIELD.sub("\0", text).split("\0")
        self.pattern = re.escape(literals[0]) + "".join(ANY_VALUE + re.escape(part) for part in literals[1:])
        self.regex = re.compile(self.pattern)

    def fill(self, values: Values, lang: Lang) -> str:
        """Return the text with every field filled."""
        return FIELD.sub(lambda m: show(values[m[1]], lang, m[2] or ""), self.text)


class Phrasing:
    """How a family speaks in one language: what is asked, the styles of a right answer (each a tuple of parts, the
    claim first and its reasons after), and the short key that the answer turns on."""

    def __init__(self, asks: Sequence[str], says: Sequence[Sequence[str]], key: str) -> None:
        self.asks = [Template(ask) for ask in asks]
        self.styles = [tuple(Template(part) for part in style) for style in says]
        self.key = Template(key)


@dataclass(frozen=True)
class Family:
    """A kind of question: its slots with their domains, the truth as a function of them, and its two voices.

    Questions are drawn from the domains where they are valid. A reader understands more: `wider` gives the numbers that
    a slot may have in a question of somebody else's, and `meant` which of these questions have an answer.
    """

    name: str
    topic: str
    slots: Mapping[str, Sequence[Value]]
    truth: Callable[..., Mapping[str, Value]]
    voices: Mapping[Lang, Phrasing]
    valid: Callable[..., bool] = field(default=lambda **_: True)
    joint: str = ""
    wider: Mapping[str, range] = field(default_factory=dict)
    meant: Callable[..., bool] | None = None

    def size(self) -> int:
        """About how many instructions it can make in one language."""
        return prod(len(domain) for domain in self.slots.values()) * len(self.voices["en"].asks)

    def draw(self, rng: random.Random) -> dict[str, Value]:
        """Valid slots, drawn at random; where the answer is yes or no, both about equally often."""
        wanted = rng.choice("YN")
        for attempt in count():
            slots = {name: rng.choice(domain) for name, domain in self.slots.items()}
            if self.valid(**slots) and (attempt > POLARITY_TRIES or self._polarity(slots) in (wanted, "")):
                return slots
        raise AssertionError

    def _polarity(self, slots: dict[str, Value]) -> str:
        answer = self.truth(**slots).get("yes")
        return answer.en[0] if isinstance(answer, Entry) else ""

    def separator(self, lang: Lang) -> str:
        """Return what stands between the parts of an answer."""
        return self.joint or (" " if lang == "en" else "")

    @cached_property
    def readers(self) -> dict[Lang, list[re.Pattern[str]]]:
        """For every ask, what recognises it."""
        return {lang: [self._reader(ask, lang) for ask in self.voices[lang].asks] for lang in LANGS}

    @cached_property
    def names(self) -> dict[tuple[str, Lang, str], dict[str, Value]]:
        """For every field of the asks: the values by the text that shows them."""
        found = {}
        for lang in LANGS:
            for slot, form in {pair for ask in self.voices[lang].asks for pair in ask.fields}:
                found[slot, lang, form] = {show(value, lang, form): value for value in reversed(self.slots[slot])}
        return found

    def _reader(self, ask: Template, lang: Lang) -> re.Pattern[str]:
        literals = [re.escape(part) for part in FIELD.sub("\0", ask.text).split("\0")]
        groups = [self._group(slot, lang, form) for slot, form in ask.fields]
        return re.compile("".join(a + b for a, b in zip(literals, [*groups, ""], strict=True)))

    def _group(self, slot: str, lang: Lang, form: str) -> str:
        """Return what recognises one slot: a number where any will do, else the names of its values."""
        if slot in self.wider:
            return NUMBER
        names = sorted(self.names[slot, lang, form], key=len, reverse=True)
        return f"({'|'.join(map(re.escape, names))})"

    def read(self, text: str, lang: Lang) -> dict[str, Value] | None:
        """Return the slots of an instruction of this family, or None."""
        for ask, reader in zip(self.voices[lang].asks, self.readers[lang], strict=True):
            match = reader.fullmatch(text)
            slots = self._slots(ask, match, lang) if match else None
            if slots is not None and ask.fill(slots, lang) == text:
                return slots
        return None

    def _slots(self, ask: Template, match: re.Match[str], lang: Lang) -> dict[str, Value] | None:
        slots: dict[str, Value] = {}
        found = zip(ask.fields, match.groups(), strict=True)
        for (slot, form), text in sorted(found, key=lambda pair: pair[0][1] not in NAME_FORMS):
            slots.setdefault(slot, int(text) if slot in self.wider else self.names[slot, lang, form][text])
        return slots if len(slots) == len(self.slots) and self._is_meant(slots) else None

    def _is_meant(self, slots: dict[str, Value]) -> bool:
        """Return whether a question about these slots has an answer, also where none of that kind is drawn."""
        in_range = all(slots[slot] in numbers for slot, numbers in self.wider.items())
        return in_range and (self.meant or self.valid)(**slots)


@dataclass(frozen=True)
class Task:
    """One question with its truth: a family, the language it is asked in, its slots."""

    family: Family
    lang: Lang
    slots: Values

    @property
    def voice(self) -> Phrasing:
        """The family's voice in the task's language."""
        return self.family.voices[self.lang]

    @cached_property
    def values(self) -> dict[str, Value]:
        """The slots and the truth about them."""
        return {**self.slots, **self.family.truth(**self.slots)}

    @cached_property
    def key(self) -> str:
        """The short right answer, such as `Paris` or `42`."""
        return self.voice.key.fill(self.values, self.lang)

    def ask(self, rng: random.Random) -> str:
        """Return one of the ways of asking it."""
        return rng.choice(self.voice.asks).fill(self.slots, self.lang)

    def parts(self, style: int = 0, lang: Lang | None = None, values: Values | None = None) -> list[str]:
        """Return the parts of an answer, right unless other values are given."""
        lang = lang or self.lang
        styles = self.family.voices[lang].styles
        return [part.fill(values or self.values, lang) for part in styles[style % len(styles)]]

    def say(self, style: int = 0, lang: Lang | None = None, values: Values | None = None) -> str:
        """Return a whole answer, right unless other values are given."""
        return self.family.separator(lang or self.lang).join(self.parts(style, lang, values))
