"""Charts as SVG that takes its colours and its font from the page, so that it is dark where the page is dark.

Matplotlib draws in colours that stand for roles; in what it writes each is replaced by the page's CSS variable. Text
stays text, so that the reader's own fonts show Japanese and the page can be searched.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from rich.cells import cell_len

from kasasagi.flows.views.safe_text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK, FAINT, GROUND = "#010203", "#020304", "#030405"
SERIES = ("#a10001", "#a10002", "#a10003", "#a10004", "#a10005", "#a10006", "#a10007", "#a10008")
SHADES = ("#b20001", "#b20002", "#b20003", "#b20004", "#b20005")
GOOD, BAD = "#c30001", "#c30002"
_VARIABLES = {INK: "ink", FAINT: "faint", GROUND: "card", GOOD: "good", BAD: "bad"}
_VARIABLES |= {colour: f"series-{number}" for number, colour in enumerate(SERIES, 1)}
_VARIABLES |= {colour: f"shade-{number}" for number, colour in enumerate(SHADES, 1)}
LABEL_CHARS = 24
SIZE = (4.6, 2.7)
LEAST_LOGARITHMIC = 5
"""From which ratio of the largest value to the smallest an axis may be logarithmic: a shorter one has hardly a tick."""
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "path.simplify": True,
}
_NOT_NEEDED = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)
_FONT = re.compile(r"(font: [^;\"]*?[\d.]+px) [^;\"]*")
_NUMBERED = re.compile(r' id="(?:figure|axes|patch|text|line2d|xtick|ytick|matplotlib\.axis|legend|\w+Collection)_\d+"')
_PLACES = re.compile(r' (?:d|x|y|transform|width|height)="[^"]*"')
_NUMBER = re.compile(r"-?\d+\.\d{2,}")


@dataclass
class Chart:
    """One chart on the page: its title, what it shows in a sentence, the drawing, and a key of colours below it."""

    title: str
    note: str = ""
    svg: Markup = field(default_factory=Markup)
    wide: bool = False
    key: list[tuple[str, str, bool]] = field(default_factory=list)

    def add_key(self, colour: str, text: str, ring: bool = False) -> None:
        """Add what a dot or ring of a colour stands for, as text of the page, as large on a phone as elsewhere."""
        self.key.append((_VARIABLES[colour], text, ring))


def label(text: Any) -> str:
    """Return a name from data, short and on one line, as a chart's text."""
    return one_line(str(text), LABEL_CHARS) or "(empty)"


@contextmanager
def drawing(chart: Chart, size: tuple[float, float] = SIZE) -> Iterator["Axes"]:
    """The axes of a chart, in inches of 72 points; at the end the chart has its SVG."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({**_SETTINGS, "svg.hashsalt": chart.title}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, layout="constrained")
        canvas = FigureCanvasSVG(figure)
        yield figure.add_subplot()
        text = StringIO()
        canvas.print_svg(text, metadata={"Date": None})
    chart.svg = Markup(_page_svg(text.getvalue()))


def count_on(axis: "Axis", most: int = 6) -> None:
    """Put ticks on an axis of counts at whole numbers only, so that none is written twice."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=most, integer=True))
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _page_svg(text: str) -> str:
    """Return an SVG as the page wants it: its colours and font the page's, without what only a file of its
    own needs.
    """
    text = _NUMBERED.sub("", _NOT_NEEDED.sub("", text))
    text = _FONT.sub(r"\1 var(--font)", text)
    for colour, name in _VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    text = _PLACES.sub(lambda place: _NUMBER.sub(_shorter, place[0]), text)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    return re.sub(r"\n\s*", "\n", text).strip()


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def bars(chart: Chart, names: Sequence[Any], values: Sequence[float]) -> Chart:
    """Bars that lie, one for each name, the first on top, with their values written behind them."""
    names = [label(name) for name in names]
    with drawing(chart, (SIZE[0], max(1.3, 0.5 + 0.26 * len(names)))) as axes:
        places = range(len(names))
        drawn = axes.barh(places, values, color=SERIES[0], height=0.66)
        axes.bar_label(drawn, [f"{value:,.4g}" if value < 1000 else f"{value:,.0f}" for value in values], padding=3)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.grid(False)
        axes.set_xticks([])
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.margins(x=0.16)
    return chart


def stacked(
    chart: Chart, names: Sequence[Any], parts: Sequence[tuple[str, Sequence[float]]], colours: Sequence[str]
) -> Chart:
    """Shares of a whole, one lying bar for each name; parts are the named pieces of every bar, each from 0 to 1."""
    with drawing(chart, (SIZE[0], 1.1 + 0.34 * len(names))) as axes:
        left = [0.0] * len(names)
        for (name, shares), colour in zip(parts, colours, strict=False):
            axes.barh(range(len(names)), shares, left=left, label=label(name), color=colour, height=0.66)
            left = [before + share for before, share in zip(left, shares, strict=True)]
        axes.set_yticks(range(len(names)), [label(name) for name in names])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(False, axis="y")
        columns = 5 if max(cell_len(name) for name, _ in parts) < 8 else 3
        axes.figure.legend(loc="outside lower center", ncols=columns, handlelength=1)
    return chart


def histogram(
    chart: Chart, groups: Sequence[tuple[str, Sequence[float]]], axis: str, logarithmic: bool = False
) -> Chart:
    """Outlines of how often whole numbers occur, one for each named group, over bins that all share."""
    import numpy as np
    from matplotlib.ticker import LogLocator, NullFormatter

    values = np.concatenate([np.asarray(group, float) for _, group in groups])
    logarithmic = logarithmic and values.max() > LEAST_LOGARITHMIC * max(1, values.min())
    if logarithmic:
        values = np.maximum(values, 1)
        edges = np.unique(np.geomspace(values.min(), max(values.max(), values.min() * 2) * 1.001, 30))
    else:
        edges = np.linspace(values.min(), max(values.max(), values.min() + 1), 30)
    with drawing(chart) as axes:
        for (name, group), colour in zip(groups, SERIES, strict=False):
            data = np.maximum(np.asarray(group, float), 1) if logarithmic else group
            axes.hist(data, list(edges), histtype="stepfilled", color=colour, alpha=0.25)
            axes.hist(data, list(edges), histtype="step", color=colour, label=label(name), linewidth=1.4)
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            count_on(axes.xaxis)
        axes.set_xlabel(axis)
        count_on(axes.yaxis)
        if len(groups) > 1:
            axes.legend()
    return chart
