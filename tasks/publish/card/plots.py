"""Plots for the card of a dataset on the Hub: PNG files beside it, drawn from the figures alone."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kasasagi.tasks.publish.card.figures import SIDES, CardFigures, ModelFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = "figures"
CLASSES = 5
BINS = 24
LABEL_CHARS = 28
SHADES = ("#c9d8ea", "#9dbadb", "#6f9bca", "#3f7ab5", "#1d5693")
COLOURS = {"chosen": "#1d5693", "rejected": "#d1603d"}
INK = "#24292f"
FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "IPAexGothic", "IPAGothic", "Hiragino Sans", "Yu Gothic")
"""Those of them that the machine has are used, so that names in Japanese show wherever a font has them."""
_SETTINGS: dict[str, Any] = {
    "font.size": 9,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8c959f",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#d8dee4",
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def draw_plots(figures: CardFigures, folder: Path) -> dict[str, str]:
    """Draw what the figures have to show into a folder; gives the files' names there, each with its words for a card.

    Equal figures give equal files with one version of matplotlib. What was not measured is left out.
    """
    made: dict[str, str] = {}
    if any(one.marks for one in figures.models.values()):
        _ratings(figures.models, _place(made, folder, "ratings", "How each model's answers in the pairs are rated"))
    if figures.margins:
        _margins(figures.margins, _place(made, folder, "margins", "Difference between the two ratings of a pair"))
    if any(figures.lengths.values()):
        _lengths(figures.lengths, _place(made, folder, "lengths", "How long the chosen and the rejected answers are"))
    return made


def _place(made: dict[str, str], folder: Path, name: str, caption: str) -> Path:
    file = f"{FOLDER}/{name}.png"
    (folder / FOLDER).mkdir(exist_ok=True)
    made[file] = caption
    return folder / file


@contextmanager
def _axes(file: Path, title: str, height: float = 2.6) -> Iterator["Axes"]:
    """The axes of one plot, height in inches; at the end the file is written."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import fontManager

    there = set(fontManager.get_font_names())
    with rc_context({**_SETTINGS, "font.family": [name for name in FONTS if name in there]}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(6.4, height), dpi=120, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_title(title)
        yield axes
        canvas.print_png(file, metadata={"Software": None})


def _ratings(models: Mapping[str, ModelFigures], file: Path) -> None:
    """One lying bar for each model, divided by how its answers are rated."""
    names = sorted(name for name, one in models.items() if one.marks)
    found = [models[name].marks for name in names]
    with _axes(file, "Ratings of the answers in the pairs", 1.2 + 0.42 * len(names)) as axes:
        left = [0.0] * len(names)
        for (label, low, high), colour in zip(_classes(found), SHADES, strict=False):
            shares = [_share(marks, low, high) for marks in found]
            axes.barh(range(len(names)), shares, left=left, height=0.62, color=colour, label=label)
            left = [before + share for before, share in zip(left, shares, strict=True)]
        axes.set_yticks(range(len(names)), [_short(name) for name in names])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.figure.legend(loc="outside lower center", ncols=CLASSES, handlelength=1)


def _classes(found: Sequence[Counter[float]]) -> list[tuple[str, float, float]]:
    """Return each rating that occurs; of many five classes, equally wide, from a lowest one to below a highest."""
    marks = sorted(set().union(*found))
    if len(marks) <= CLASSES:
        return [(f"{mark:g}", mark, mark) for mark in marks]
    step = (marks[-1] - marks[0]) / CLASSES
    bounds = [round(marks[0] + step * place, 6) for place in range(CLASSES)]
    ends = list(pairwise([*bounds, marks[-1]]))
    return [(f"{low:g} to {high:g}", low, high) for low, high in ends[:-1]] + [
        (f"{ends[-1][0]:g} to {ends[-1][1]:g}", ends[-1][0], ends[-1][1] + 1)
    ]


def _share(marks: Counter[float], low: float, high: float) -> float:
    inside = sum(times for mark, times in marks.items() if mark == low or low <= mark < high)
    return inside / marks.total()


def _margins(margins: Counter[float], file: Path) -> None:
    with _axes(file, "Margins between the two ratings of a pair") as axes:
        values, counts = zip(*sorted(margins.items()), strict=True)
        if len(values) <= BINS:
            axes.bar([f"{value:g}" for value in values], counts, color=COLOURS["chosen"], width=0.7)
            axes.set_xlim(-0.6, max(len(values), CLASSES) - 0.4)
        else:
            axes.hist(values, bins=BINS, weights=counts, color=COLOURS["chosen"])
        axes.set_xlabel("margin")
        _count(axes)


def _lengths(lengths: Mapping[str, Counter[int]], file: Path) -> None:
    import numpy as np

    longest = max(max(counts, default=1) for counts in lengths.values())
    edges = np.linspace(0, max(longest, BINS), BINS + 1)
    with _axes(file, "Lengths of the answers") as axes:
        for side in SIDES:
            values, counts = [*lengths[side]], [*lengths[side].values()]
            axes.hist(values, list(edges), weights=counts, histtype="stepfilled", color=COLOURS[side], alpha=0.25)
            axes.hist(values, list(edges), weights=counts, histtype="step", color=COLOURS[side], label=side)
        axes.set_xlabel("tokens")
        axes.legend()
        _count(axes)


def _count(axes: "Axes") -> None:
    """An upright axis that counts."""
    axes.set_ylabel("pairs")
    axes.grid(axis="y")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.locator_params(axis="y", integer=True)


def _short(name: str) -> str:
    """Return a model's name on one line, not too long for a plot."""
    line = " ".join(name.split())
    return line if len(line) <= LABEL_CHARS else f"{line[: LABEL_CHARS - 1]}…"
