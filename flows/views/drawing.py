"""How things are drawn on a terminal: one look for all tables and texts, and nothing in them is taken for markup."""

import os
import sys
from collections.abc import Sequence
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kasasagi.flows.views.language import say
from kasasagi.flows.views.safe_text import ELLIPSIS, cut, one_line, visible
from kasasagi.flows.views.tables.export import json_line

PIPE_WIDTH = 120
TEXT_LINES = 4
CELL_CHARS = 400
UNLIMITED = 100_000
GAP = 2
LEAST_SHARE = 4
TABLE_TEXT = 60
LEAST_COLUMN = 12
Kind = Literal["left", "right", "fixed"]
STATUS_STYLES = {
    "done": "bold green",
    "running": "bold cyan",
    "stopped": "bold yellow",
    "failed": "bold red",
    "killed": "bold red",
}


class Screen(Console):
    """The console of a command.

    Attributes:
        piped: Whether the output is a pipe or a file: texts wrap at the width there, and nothing is cut or left out.
        shortened: Whether a text was cut.
    """

    piped = False
    shortened = False


def console() -> Screen:
    """Return a console for plain drawing: as wide as the terminal, else as COLUMNS says, else wide enough
    for a funnel.
    """
    out = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="backslashreplace")
    width = None if out.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    screen = Screen(file=out, width=width, highlight=False, markup=False, emoji=False)
    screen.piped = not out.isatty()
    return screen


def is_piped(console: Console) -> bool:
    """Return whether the output is a pipe or a file, in which nothing is cut or left out."""
    return isinstance(console, Screen) and console.piped


def note_shortened(console: Console, remedy: str) -> None:
    """Print how the texts that were cut can be seen whole, if any were."""
    if isinstance(console, Screen) and console.shortened:
        console.print()
        console.print(
            plain(say("Long texts are cut; {remedy} shows them whole.", remedy=remedy), "dim"), soft_wrap=True
        )


def plain(text: Any, style: str = "") -> Text:
    """Text that is printed as it is, whatever it holds."""
    return Text().append(visible(str(text)), style or None)


def short(text: Any, style: str = "") -> Text:
    """Return the beginning of a text that ought to be a name, on one line."""
    return plain(one_line(str(text), TABLE_TEXT), style)


def heading(console: Console, text: str) -> None:
    """The line above a part of what is shown."""
    console.print()
    console.print(plain(text, "bold"))


def new_table(columns: Sequence[tuple[str, Kind]]) -> Table:
    """Return an empty table without a frame, of columns by their heading and kind.

    Where the width is short, `left` columns give way; `right` (numbers) and `fixed` ones keep theirs.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, border_style="dim", header_style="dim")
    table.show_edge = False
    for name, kind in columns:
        justify: Literal["left", "right"] = "right" if kind == "right" else "left"
        table.add_column(
            plain(one_line(name, TABLE_TEXT)),
            justify=justify,
            no_wrap=True,
            overflow="ellipsis",
            min_width=int(kind != "left"),
        )
    return table


def fits(console: Console, table: Table) -> bool:
    """Return whether the width is enough for the table as it is; a pipe has no width."""
    return is_piped(console) or _width(console, table) <= console.width


def draw(console: Console, table: Table) -> None:
    """Print a table within the width: numbers and fixed columns whole, the others share what is left.

    In a pipe all of them are whole.
    """
    if is_piped(console):
        _draw_whole(console, table)
        return
    natural = [max(_width(console, item) for item in (column.header, *column.cells)) for column in table.columns]
    room = console.width - GAP * (len(natural) - 1)
    kept = [index for index, column in enumerate(table.columns) if column.min_width]
    if sum(natural[index] for index in kept) > room - LEAST_SHARE * (len(natural) - len(kept)):
        kept = []
    room -= sum(natural[index] for index in kept)
    shared = sorted(set(range(len(natural))) - set(kept), key=natural.__getitem__)
    for place, index in enumerate(shared):
        natural[index] = min(natural[index], max(room // (len(shared) - place), 1))
        room -= natural[index]
    for column, width in zip(table.columns, natural, strict=True):
        column.width = width
    console.print(table)


def _draw_whole(console: Console, table: Table) -> None:
    """Print a table as wide as it is."""
    width = console.width
    console.width = max(width, _width(console, table))
    console.print(table)
    console.width = width


def shorten(console: Console, text: str, chars: int = CELL_CHARS) -> str:
    """Return the beginning of a long text, or in a pipe all of it."""
    _note_cut(console, len(text) > chars)
    return text if is_piped(console) else cut(text, chars)


def block(console: Console, text: str, width: int, lines: int | None = TEXT_LINES, style: str = "") -> Text:
    """Return a long text wrapped to a width and cut to some lines, the last ending in an ellipsis.

    None cuts nothing, and in a pipe nothing is cut.
    """
    lines = None if is_piped(console) else lines
    whole = Text(visible(text if lines is None else text[: width * lines + 1]), style=style)
    if lines is None:
        return whole
    wrapped = whole.wrap(console, width)
    kept = wrapped[:lines]
    if len(wrapped) > lines or len(text) > width * lines + 1:
        kept[-1].rstrip()
        kept[-1].truncate(width - 1)
        kept[-1].append(ELLIPSIS, "dim")
        _note_cut(console, True)
    return Text("\n").join(kept)


def draw_rows(console: Console, names: Sequence[str], rows: Sequence[Sequence[Any]], full: bool = False) -> None:
    """Rows of any table: as a table where it fits the width, else each row as a list of its columns."""
    cells = [[cell(value) for value in row] for row in rows]
    widest = [max([cell_len(name), *(cell_len(row[i].plain) for row in cells)]) for i, name in enumerate(names)]
    numeric = [_numeric(row[i] for row in rows) for i in range(len(names))]
    least = [width if number else min(width, LEAST_COLUMN) for width, number in zip(widest, numeric, strict=True)]
    squeezed = (len(rows) == 1 or is_piped(console)) and sum(widest) + GAP * len(names) > console.width
    if sum(least) + GAP * len(names) > console.width or squeezed or full:
        draw_records(console, names, rows, None if full else TEXT_LINES)
        return
    table = new_table([(name, "right" if number else "left") for name, number in zip(names, numeric, strict=True)])
    for row in cells:
        table.add_row(*row)
    _note_cut(console, not fits(console, table) or any(ELLIPSIS in text.plain[-1:] for row in cells for text in row))
    draw(console, table)


def draw_records(
    console: Console, names: Sequence[str], rows: Sequence[Sequence[Any]], lines: int | None = TEXT_LINES
) -> None:
    """Each row as a list of its columns, one under the other, with long texts cut to some lines (None: to none)."""
    for number, row in enumerate(rows):
        if number:
            console.print()
        console.print(draw_fields(console, [(name, value) for name, value in zip(names, row, strict=True)], lines))


def draw_fields(
    console: Console, fields: Sequence[tuple[str, Any]], lines: int | None = TEXT_LINES, indent: int = 0
) -> Padding:
    """Labels at the left, their texts at the right, cut to some lines (None: to none)."""
    names = [one_line(name, 40) for name, _ in fields]
    label_width = min(max(map(cell_len, names), default=0), console.width // 3)
    width = max(console.width - indent - label_width - GAP, 10)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=label_width, no_wrap=True, overflow="ellipsis", style="dim")
    grid.add_column(overflow="fold")
    for name, (_, value) in zip(names, fields, strict=True):
        grid.add_row(plain(name), null() if value is None else block(console, as_text(value), width, lines))
    return Padding(grid, (0, 0, 0, indent), expand=False)


def null() -> Text:
    """Return how an absent value is shown."""
    return Text("NULL", "dim")


def cell(value: Any) -> Text:
    """Return one value on one line."""
    return null() if value is None else plain(one_line(as_text(value), CELL_CHARS))


def as_text(value: Any) -> str:
    """Return a value of any type as text: numbers short, nested values as JSON."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple, dict)):
        return json_line(value)
    return str(value)


def _note_cut(console: Console, is_cut: bool) -> None:
    if is_cut and isinstance(console, Screen):
        console.shortened = True


def _width(console: Console, item: RenderableType) -> int:
    """Return the cells that something would take if there were no end of them."""
    return Measurement.get(console, console.options.update(width=UNLIMITED), item).maximum


def _numeric(values: Any) -> bool:
    some = [value for value in values if value is not None]
    return bool(some) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in some)
