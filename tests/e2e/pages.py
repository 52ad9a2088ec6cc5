"""The commands of the documents: what stands in their blocks, and what their sentences tell to type."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.test_docs import BLOCK, DOCS, blocks

ASSIGNED = re.compile(r"^([A-Z][A-Z_]*)=(.*)$")
SPOKEN = re.compile(r"`(kasasagi [a-z][^`]*)`")


@dataclass(frozen=True)
class Line:
    """One command of a document: as written without its comment, its words, and the variables set before them."""

    written: str
    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


def line_of(text: str) -> Line | None:
    """The command of a line; None for an empty one."""
    words = shlex.split(text, comments=True)
    written = shlex.join(words)
    found: list[tuple[str, str]] = []
    while words and (assigned := ASSIGNED.match(words[0])):
        found.append((assigned[1], assigned[2]))
        words = words[1:]
    return Line(written, tuple(words), tuple(found)) if words else None


def lines_of(page: Path) -> list[Line]:
    """The commands of a page in their order: those of its blocks, then those that its sentences write out in full.

    A command of one or two words in a sentence is a name, not a command to type.
    """
    joined = "\n".join(blocks(page, "", "sh", "bash", "console")).replace("\\\n", " ")
    prose = " ".join(BLOCK.sub("", page.read_text(encoding="utf-8")).split())
    spoken = [one for one in SPOKEN.findall(prose) if _is_whole(one)]
    found = [line_of(one.removeprefix("$ ")) for one in [*joined.splitlines(), *spoken]]
    return [one for one in found if one is not None]


def _is_whole(spoken: str) -> bool:
    words = spoken.split()
    groups = [["dataset"], ["people"], ["ledger"], ["serve"]]
    name = 2 + (words[1:2] in groups) + (words[1:3] == ["people", "argilla"])
    return len(words) > name


def pages() -> list[Path]:
    """The documents that hold commands."""
    return [page for page in DOCS if lines_of(page)]
