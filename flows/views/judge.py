"""`kasasagi judge`: what a run's judges gave, and the figures that say how far they can be trusted."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.labels.agreement import Agreement
from kasasagi.flows.rebuild.label_audit import Audit
from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import Kind, plain, short
from kasasagi.flows.views.table_reader import reading
from kasasagi.tasks.reports import reports
from kasasagi.tasks.reports.self_preference import WORDS

TITLES = {
    "same_in_both_orders": "same verdict in both orders",
    "flips_with_the_order": "verdict flips with the order",
    "prefers_the_first": "prefers the text shown first",
    "same_as_the_other_aspect": "same verdict as the aspect",
    "win_rate": "wins, ties as halves",
    "length_correlation": "rating-length correlation",
    "length_correlation_within_prompts": "correlation within prompts",
    **WORDS,
    "krippendorffs_alpha": "Krippendorff's alpha",
    "same_as_the_other_judge": "same verdict as the other",
    "cohens_kappa": "Cohen's kappa of verdicts",
    "read_by_distribution": "ratings by distribution",
    "polite_among_chosen": "polite among the chosen",
    "polite_among_rejected": "polite among the rejected",
    "politeness_skew": "politer chosen than rejected",
}
_DECIMALS = ("length_correlation", "length_correlation_within_prompts", "krippendorffs_alpha", "cohens_kappa")


def judge_report(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Return the reports on a run's judges, also while it is active.

    Raises:
        KasasagiError: If its tables cannot be read.
    """
    with reading(run) as tables:
        return reports(tables, run.recipe())


def draw_report(report: dict[str, list[dict[str, Any]]], console: Console) -> None:
    """Draw the histogram of ratings and the figures, or say that there are none."""
    if not report["rating_histogram"]:
        console.print(plain("No ratings: the recipe has no judge, or nothing has been judged yet.", "dim"))
    else:
        drawing.heading(console, "Ratings")
        _draw_histogram(report["rating_histogram"], console)
    if report["judge_figures"]:
        drawing.heading(console, "Figures, with 95% intervals")
        _draw_figures(report["judge_figures"], console)


def draw_audit(audit: Audit, console: Console) -> None:
    """Say how far the judges agree with the labels of the dataset, where it has any."""
    if audit.labels:
        drawing.heading(console, "Beside the dataset's labels")
        for sentence in audit.sentences():
            console.print(plain(sentence), soft_wrap=True)


def draw_person(counts: Agreement, console: Console) -> None:
    """Say how far a person's own verdicts agree with the judge's, where there are any."""
    if counts.verdicts:
        drawing.heading(console, "Beside your own verdicts")
        for sentence in counts.sentences():
            console.print(plain(sentence), soft_wrap=True)


def percent_or_decimal(figure: str, value: float | None) -> str:
    """Return a figure's value as people read it: shares in percent, correlations and agreement as decimals."""
    if value is None:
        return ""
    return f"{value:.2f}" if figure in _DECIMALS else f"{100 * value:.1f}%"


def subject_of(row: dict[str, Any]) -> str:
    """Return what a figure is about: the judge, its aspect, and a model or another judge."""
    return ", ".join(row[name] for name in ("judge", "subject", "aspect") if row[name])


def _draw_histogram(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """One line for each judge, aspect and model: its verdicts, and the share of each rating."""
    ratings = sorted({row["rating"] for row in rows})
    kinds: list[tuple[str, Kind]] = [("judge", "left"), ("aspect", "left"), ("model", "left"), ("verdicts", "right")]
    table = drawing.new_table([*kinds, *((f"{rating:g}", "right") for rating in ratings)])
    lines: dict[tuple[str, str, str], dict[float, int]] = {}
    for row in rows:
        lines.setdefault((row["judge"], row["aspect"], row["model"]), {})[row["rating"]] = row["verdicts"]
    for names, counts in lines.items():
        total = sum(counts.values())
        shares = [_share(counts.get(rating, 0), total) for rating in ratings]
        table.add_row(*map(short, names), plain(f"{total:,}"), *shares)
    drawing.draw(console, table)


def _share(count: int, of: int) -> Text:
    return plain(f"{count / of:.0%}") if count else plain("-", "dim")


def _draw_figures(rows: Sequence[dict[str, Any]], console: Console) -> None:
    kinds: list[tuple[str, Kind]] = [("figure", "fixed"), ("of", "left"), ("value", "right"), ("from", "right")]
    table = drawing.new_table([*kinds, ("to", "right"), ("cases", "right")])
    for row in rows:
        numbers = [percent_or_decimal(row["figure"], row[name]) for name in ("value", "low", "high")]
        cells = [plain(TITLES[row["figure"]]), short(subject_of(row)), *map(plain, numbers)]
        table.add_row(*cells, plain(f"{row['cases']:,}"))
    drawing.draw(console, table)
