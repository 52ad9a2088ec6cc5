"""The things of the world: named in English and Japanese, with facts attached, read from small tables."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

Lang = Literal["en", "ja"]
VOWELS = "aeiou"


def capitalised(text: str) -> str:
    """Return the text with a capital first letter and the rest as it is."""
    return text[:1].upper() + text[1:]


def with_article(noun: str) -> str:
    """`an owl`, `a dog`: the noun behind its indefinite article."""
    return f"{'an' if noun[0].lower() in VOWELS else 'a'} {noun}"


def plural(noun: str) -> str:
    """Return the regular English plural of a noun."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in VOWELS:
        return noun[:-1] + "ies"
    return noun + "s"


class Entry:
    """One thing of the world: its English and its Japanese name, and facts about it by name."""

    __slots__ = ("en", "facts", "ja")

    def __init__(self, en: str, ja: str, **facts: Any) -> None:
        self.en = en
        self.ja = ja
        self.facts = facts

    def __repr__(self) -> str:
        return f"Entry({self.en!r}, {self.ja!r})"

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    def form(self, lang: Lang, form: str = "") -> str:
        """Return the name in a language; in English also a (article), A, pl (plural), Pl, C (capital), and en/ja in
        either.
        """
        if form in ("en", "ja"):
            return self.en if form == "en" else self.ja
        if lang == "ja":
            return self.ja
        plain = self.facts.get("plural") or plural(self.en) if form.lower() == "pl" else self.en
        text = with_article(plain) if form.lower() == "a" else plain
        return capitalised(text) if form[:1].isupper() else text


def rows(table: str) -> Iterator[list[str]]:
    """Yield the cells of a table whose lines are rows and whose cells stand between bars."""
    for line in table.strip().splitlines():
        yield [cell.strip() for cell in line.split("|")]


def entries(table: str, *names: str) -> list[Entry]:
    """Entries from a table: English, Japanese, then the named facts as text."""
    return [Entry(en, ja, **dict(zip(names, facts, strict=True))) for en, ja, *facts in rows(table)]


def by_name(things: Sequence[Entry]) -> dict[str, Entry]:
    """Entries by their English names."""
    return {thing.en: thing for thing in things}
