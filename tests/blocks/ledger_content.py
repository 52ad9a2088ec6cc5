"""A ledger's content for the tests of its faults, what of it is served, and children that may die at their work."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.llm import Completion

COUNT = 120
FILES = ("ledger.sqlite", "ledger.sqlite-wal")


def key(number: int) -> str:
    return digest(["key", number])


def answer(number: int) -> Completion:
    return Completion(text=f"answer {number}: " + "鵲 " * (number % 50), prompt_tokens=number, completion_tokens=3)


def entries(start: int, end: int) -> list[LedgerEntry]:
    return [LedgerEntry(key(number), "model", answer(number)) for number in range(start, end)]


def served(folder: Path, count: int = COUNT) -> set[int]:
    """Which answers the ledger serves; each must be the right one."""
    ledger = Ledger(folder)
    try:
        found = ledger.known([key(number) for number in range(count)])
    finally:
        ledger.close()
    right = {key(number): number for number in range(count) if found.get(key(number)) == answer(number)}
    assert len(right) == len(found), "a wrong answer was served"
    return set(right.values())


def in_child(work: Callable[..., None], *arguments: object) -> int:
    """The exit code of a forked child that does some work, negative for a signal."""
    child = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    child.start()
    child.join(60)
    assert child.exitcode is not None
    return child.exitcode
