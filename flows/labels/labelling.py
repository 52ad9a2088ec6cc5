"""A labelling session: pairs blind and side by side, one verdict after the other, until there are enough."""

import unicodedata
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Literal

from duckdb import DuckDBPyConnection
from rich.console import Console
from rich.table import Table

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.labels.agreement import Agreement, agreement
from kasasagi.flows.labels.verdict_file import Choice, Labels
from kasasagi.flows.views.drawing import plain
from kasasagi.flows.views.safe_text import messages_text, plural
from kasasagi.flows.views.table_reader import fetch, reading

ASKED = "a or b is better, tie, skip, undo or quit: "
SIDE_BY_SIDE = 60
AT_ONCE = 100
# A pair by its prompt_id, chosen_id and rejected_id.
Shown = tuple[str, str, str]
Word = Literal["left", "right", "tie", "skip", "undo", "quit"]
# あ is what a Japanese input method makes of the key a.
_WORDS: dict[str, Word] = {
    **dict.fromkeys(("a", "あ", "1"), "left"),
    **dict.fromkeys(("b", "2"), "right"),
    **dict.fromkeys(("t", "tie", "=", "引き分け"), "tie"),
    **dict.fromkeys(("s", "skip"), "skip"),
    **dict.fromkeys(("u", "undo", "う"), "undo"),
    **dict.fromkeys(("q", "quit", "exit"), "quit"),
}
# Digests order the pairs: a fair sample, the same at every session, whatever the judge's ratings.
_IN_TURN = "SELECT prompt_id, chosen_id, rejected_id FROM pairs ORDER BY md5(prompt_id || chosen_id || rejected_id)"
_TEXTS = "SELECT response_id, content FROM responses WHERE response_id IN (?, ?)"
_PROMPT = "SELECT messages FROM prompts WHERE prompt_id = ?"
_ALL = "SELECT chosen_id, rejected_id, margin FROM pairs"


def label(run: Run, wanted: int, console: Console, ask: Callable[[str], str]) -> Agreement:
    """Show pairs of a run until a person has given so many verdicts on it, earlier sessions counted, or quits.

    ask puts a question and gives the line typed; its EOFError or KeyboardInterrupt ends the session. Each verdict is
    kept at once. Gives the agreement with the judge.

    Raises:
        KasasagiError: If the run's tables cannot be read.
    """
    labels = Labels(run.workspace)
    with reading(run) as tables:
        session = _Labelling(run, tables, labels, console, ask)
        if not session.until(wanted):
            console.print(plain("There are no more pairs of this run to show.", "dim"))
        return agreement(labels, _pairs(tables))


def agreement_on(run: Run) -> Agreement:
    """Return how far a person's verdicts so far agree with the run's judge.

    Raises:
        KasasagiError: As `label` does.
    """
    with reading(run) as tables:
        return agreement(Labels(run.workspace), _pairs(tables))


class _Labelling:
    """One person's way through a run's pairs, with a way back."""

    def __init__(
        self, run: Run, tables: DuckDBPyConnection, labels: Labels, console: Console, ask: Callable[[str], str]
    ) -> None:
        self.run, self.tables, self.labels = run, tables, labels
        self.console, self.ask = console, ask
        self.unseen = _unlabelled_pairs(tables, labels)
        self.seen: list[Shown] = []
        self.again: list[Shown] = []

    def until(self, wanted: int) -> bool:
        """Show pairs until there are so many verdicts on the run or the person quits; False if the pairs run out."""
        verdicts = agreement(self.labels, _pairs(self.tables)).verdicts
        while verdicts < wanted:
            pair = self.again.pop() if self.again else next(self.unseen, None)
            if pair is None:
                return False
            left, right = _display_order(pair)
            _show(self.tables, self.console, pair[0], (left, right), f"{verdicts + 1} of {wanted}")
            word = _read_choice(self.console, self.ask)
            if word == "quit":
                return True
            if word == "undo":
                verdicts -= self._undone(pair)
            else:
                self.labels.add(self.run.id, pair[0], left, right, word)
                self.seen.append(pair)
                verdicts += word != "skip"
        return True

    def _undone(self, pair: Shown) -> bool:
        """Leave a pair and go back to the one before; whether that had a verdict, which is now asked for again."""
        self.again.append(pair)
        if not self.seen:
            return False
        self.again.append(self.seen.pop())
        return self.labels.known[frozenset(self.again[-1][1:])].choice != "skip"


def _pairs(tables: DuckDBPyConnection) -> Iterator[tuple[str, str, float | None]]:
    cursor = tables.execute(_ALL)
    while rows := cursor.fetchmany(2_000):
        yield from rows


def _unlabelled_pairs(tables: DuckDBPyConnection, labels: Labels) -> Iterator[Shown]:
    """Yield the pairs on which there is no verdict, in their order, some at a time: other queries run in between."""
    for start in count(0, AT_ONCE):
        rows = tables.execute(f"{_IN_TURN} LIMIT {AT_ONCE} OFFSET {start}").fetchall()
        if not rows:
            return
        yield from (row for row in rows if frozenset(row[1:]) not in labels.known)


def _display_order(pair: Shown) -> tuple[str, str]:
    """Return the two responses in the order in which they are shown, which tells nothing of the judge's word."""
    one, other = sorted(pair[1:])
    return (one, other) if int(digest(["label", one, other])[:2], 16) % 2 else (other, one)


def _read_choice(console: Console, ask: Callable[[str], str]) -> Choice | Literal["undo", "quit"]:
    """Read lines until one is a choice; the end of the input counts as quit."""
    while True:
        try:
            line = ask(ASKED)
        except (EOFError, KeyboardInterrupt):
            console.print()
            return "quit"
        word = _WORDS.get(unicodedata.normalize("NFKC", line).strip().casefold())
        if word is not None:
            return word
        console.print(plain("That is none of a, b, tie, skip, undo and quit.", "yellow"))


def _show(tables: DuckDBPyConnection, console: Console, prompt_id: str, sides: tuple[str, str], where: str) -> None:
    prompt: list[dict[str, Any]] = fetch(tables, _PROMPT, [prompt_id])
    texts = {row["response_id"]: row["content"] for row in fetch(tables, _TEXTS, list(sides))}
    console.rule(plain(where, "bold"), align="left", characters="─")
    console.print(plain(messages_text(prompt[0]["messages"]) if prompt else ""), soft_wrap=False)
    console.print()
    draw_sides(console, *(texts.get(side) or "" for side in sides))


def draw_sides(console: Console, left: str, right: str) -> None:
    """Two texts beside each other, whole, in columns of equal width; below each other where the terminal is narrow."""
    if console.width < SIDE_BY_SIDE:
        for name, text in (("a", left), ("b", right)):
            console.print(plain(name, "bold cyan"))
            console.print(plain(text))
            console.print()
        return
    width = (console.width - 3) // 2
    grid = Table.grid(padding=0)
    for column in (width, 3, width):
        grid.add_column(width=column, overflow="fold")
    grid.add_row(plain("a", "bold cyan"), plain(" │ ", "dim"), plain("b", "bold cyan"))
    columns = [plain(text).wrap(console, width, overflow="fold") for text in (left, right)]
    for place in range(max(map(len, columns))):
        cells = [column[place] if place < len(column) else plain("") for column in columns]
        grid.add_row(cells[0], plain(" │ ", "dim"), cells[1])
    console.print(grid)
    console.print()


def closing(counts: Agreement, wanted: int) -> list[str]:
    """Return the summary of a session."""
    left = wanted - counts.verdicts
    more = f"{plural(left, 'verdict')} to go: the same command continues." if left > 0 else ""
    return [*counts.sentences(), *([more] if more else [])]
