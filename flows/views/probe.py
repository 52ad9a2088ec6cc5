"""How the result of a probe is shown on a terminal."""

from rich.console import Console

from kasasagi.flows.probe.figures import ProbeFigures
from kasasagi.flows.probe.job import ProbeResult
from kasasagi.flows.views.drawing import block, draw_rows, heading, plain
from kasasagi.flows.views.safe_text import dollars

WORDS = {
    "suits": ("suits Magpie", "bold green"),
    "usable": ("can be used for Magpie, with care", "bold yellow"),
    "unsuited": ("does not suit Magpie as it is", "bold red"),
}
INDENT = 4
WANTED = 10_000


def print_probe(result: ProbeResult, console: Console) -> None:
    """Print a verdict, the figures behind it, some of the instructions, and what to try."""
    words, style = WORDS[result.judgement.verdict]
    console.print(plain(f"{result.name} {words}", style))
    for reason in result.judgement.because:
        console.print(plain(f"  {reason}"))
    heading(console, "Figures")
    draw_rows(console, ["what", "figure"], _figures(result.figures))
    heading(console, "Rules, each on its own")
    draw_rows(
        console, ["rule", "texts that keep it"], [[name, f"{share:.1%}"] for name, share in _worst(result.figures)]
    )
    heading(console, "Some of the instructions")
    for shown in result.figures.samples:
        marks = f"  [breaks {', '.join(shown.broken)}]" if shown.broken else ""
        console.print(block(console, f"- {shown.text}{marks}", max(20, console.width - INDENT), 2))
    heading(console, "What to try")
    for advice in result.judgement.advice or ("nothing in particular: continue with a recipe of your own",):
        console.print(plain(f"- {advice}"), soft_wrap=True)
    console.print(plain(f"\n{_estimate(result.figures)}"), soft_wrap=True)


def _estimate(figures: ProbeFigures) -> str:
    """Return what a number of accepted instructions would take at this yield."""
    if not figures.accepted:
        return "no draw was accepted, so no number of draws would do"
    draws = WANTED / figures.accepted
    money = f", about {dollars(draws * figures.usd_a_draw)}" if figures.usd_a_draw else ""
    tokens = f"{draws * figures.tokens:,.0f} completion tokens"
    return f"{WANTED:,} accepted instructions would take about {draws:,.0f} draws, {tokens}{money}"


def _worst(figures: ProbeFigures) -> list[tuple[str, float]]:
    return sorted(figures.passes.items(), key=lambda entry: (entry[1], entry[0]))


def _figures(figures: ProbeFigures) -> list[list[str]]:
    low, middle, high = figures.characters
    rows = [
        ["draws", f"{figures.draws:,}, of which {figures.invented:,} hold a text"],
        ["accepted by the filter", f"{figures.accepted:.1%} of the draws"],
        ["distinct", f"{figures.distinct:.1%} of the texts"],
        ["near duplicates", f"{figures.near:.1%} of the distinct ones"],
        ["diversity (Vendi score / texts)", f"{figures.diversity:.2f}"],
        ["commonest beginning", f"{figures.opening!r}: {figures.opening_share:.1%}"],
        ["sound like an assistant", f"{figures.answers:.1%}"],
        ["ended at max_tokens", f"{figures.cut:.1%}"],
        ["characters (10%, 50%, 90%)", f"{low:,}, {middle:,}, {high:,}"],
        ["languages", ", ".join(f"{name} {share:.0%}" for name, share in figures.languages.items())],
        [
            "stopped by",
            ", ".join(f"{name} {count:,}" for name, count in figures.stops.items()) or "(the server is silent)",
        ],
        ["failed", ", ".join(f"{name} {count:,}" for name, count in figures.failed.items()) or "none"],
        ["tokens a draw", f"{figures.tokens:.0f}"],
        ["calls", f"{figures.calls_paid:,} sent, {figures.calls_reused:,} in the ledger, {dollars(figures.cost_usd)}"],
    ]
    return rows
