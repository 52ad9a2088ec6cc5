"""Which charts the report has, and what each says in words."""

import math
from collections import Counter
from itertools import pairwise
from typing import Any

from kasasagi.flows.views.language import say
from kasasagi.flows.views.report.charts import (
    BAD,
    FAINT,
    GOOD,
    SERIES,
    SHADES,
    Chart,
    bars,
    count_on,
    drawing,
    histogram,
    label,
    stacked,
)
from kasasagi.flows.views.report.facts import Facts
from kasasagi.flows.views.safe_text import plural

MOST_TICKS = 9
CONSISTENT = {
    "the same wins": GOOD,
    "a tie in both": FAINT,
    "a tie in one": SHADES[2],
    "the other wins": BAD,
    "one order only": SERIES[6],
}


def growth_charts(facts: Facts) -> list[Chart]:
    """Return what came of the run over time, and of the draws."""
    return [chart for chart in (_growth(facts), _accepted(facts)) if chart is not None]


def _growth(facts: Facts) -> Chart | None:
    grown = {stage: points for stage, points in facts.growth().items() if points[-1][0] > 0}
    if not grown:
        return None
    last = max(points[-1][0] for points in grown.values())
    unit, divisor = ("minutes", 60) if last >= 180 else ("seconds", 1)
    chart = Chart("Yield over time", "Rows finished so far, after each chunk; reused chunks count from the start.")
    with drawing(chart) as axes:
        for (stage, points), colour in zip(grown.items(), SERIES, strict=False):
            times = [0.0, *(seconds / divisor for seconds, _ in points), last / divisor]
            rows = [0, *(rows for _, rows in points), points[-1][1]]
            axes.step(times, rows, where="post", color=colour, label=stage, linewidth=1.6)
        axes.set_xlabel(say(f"{unit} since the start"))
        count_on(axes.yaxis)
        axes.legend()
    return chart


def _accepted(facts: Facts) -> Chart | None:
    points = facts.accepted_draws()
    if not points:
        return None
    drawn, accepted = points[-1]
    note = f"{accepted:,} of {plural(drawn, 'draw')} became accepted instructions ({accepted / drawn:.0%})."
    chart = Chart("Instructions by draws", note)
    with drawing(chart) as axes:
        axes.plot([draws for draws, _ in points], [kept for _, kept in points], color=SERIES[0], linewidth=1.6)
        axes.plot([0, drawn], [0, drawn], color=FAINT, linewidth=1, linestyle="--")
        for axis in (axes.xaxis, axes.yaxis):
            count_on(axis)
        axes.set_xlabel(say("draws"))
        axes.set_ylabel(say("accepted"))
    return chart


def text_charts(facts: Facts) -> list[Chart]:
    """Lengths, languages and categories."""
    charts = []
    sampled = facts.sampled().note
    lengths = facts.column("SELECT length(instruction) FROM prompts WHERE prompt_id <= ?", facts.last)
    if lengths := [length for length in lengths if length is not None]:
        half = say(f"Half of them have at most {_median(lengths):,.0f} characters.")
        chart = Chart("Length of the instructions", f"{half} {sampled}")
        charts.append(histogram(chart, [(say("instructions"), lengths)], say("characters"), logarithmic=True))
    if (answers := _answer_lengths(facts)) is not None:
        charts.append(answers)
    return [*charts, *_languages(facts), *_categories(facts)]


def _answer_lengths(facts: Facts) -> Chart | None:
    models = facts.column("SELECT DISTINCT model FROM responses ORDER BY model LIMIT ?", len(SERIES))
    query = "SELECT length(content) FROM responses WHERE model = ? AND prompt_id <= ?"
    groups = [(model, facts.column(query, model, facts.last)) for model in models]
    groups = [(model, lengths) for model, lengths in groups if lengths]
    if not groups:
        return None
    medians = ", ".join(f"{label(model)} {_median(lengths):,.0f}" for model, lengths in groups)
    note = say("Median characters: {medians}.", medians=medians)
    chart = Chart("Length of the answers", f"{note} {facts.sampled().note}")
    return histogram(chart, groups, say("characters"), logarithmic=True)


def _languages(facts: Facts) -> list[Chart]:
    found = facts.languages()
    if not found:
        return []
    names = [name for name, _ in sum(found.values(), Counter()).most_common(len(SERIES))]
    parts = [(name, [counts[name] / counts.total() for counts in found.values()]) for name in names]
    chart = Chart("Languages", "By the main script of each text, in a sample.")
    return [stacked(chart, list(found), parts, SERIES)]


def _categories(facts: Facts) -> list[Chart]:
    return [
        bars(
            Chart(label(name), say("Prompts by the column {name}.", name=label(name))),
            [n for n, _ in some],
            [c for _, c in some],
        )
        for name, some in facts.categories().items()
    ]


def rating_charts(facts: Facts) -> list[Chart]:
    """Ratings, margins, and what the judge is swayed by."""
    charts = [*_ratings(facts), *_margins(facts), *_orders(facts), *_matrix(facts), *_length_bias(facts)]
    return [*charts, *_rating_by_length(facts)]


def _ratings(facts: Facts) -> list[Chart]:
    found = facts.ratings_by_model()
    if not found:
        return []
    parts = _classes(found)
    means = ", ".join(f"{label(model)} {_mean(counts):.2f}" for model, counts in found.items())
    return [stacked(Chart("Ratings by model", say("Means: {means}.", means=means)), list(found), parts, SHADES)]


def _classes(found: dict[str, Counter[float]]) -> list[tuple[str, list[float]]]:
    """Return each mark's share of every model's ratings; of many marks five classes, equally wide."""
    marks = sorted({mark for counts in found.values() for mark in counts})
    if len(marks) <= len(SHADES):
        classes = [(f"{mark:g}", mark, mark) for mark in marks]
    else:
        width = (marks[-1] - marks[0]) / len(SHADES)
        bounds = [marks[0] + width * step for step in range(len(SHADES) + 1)]
        classes = [(f"{low:g} to {high:g}", low, high) for low, high in pairwise(bounds)]
    return [(name, [_share(counts, low, high, marks[-1]) for counts in found.values()]) for name, low, high in classes]


def _share(counts: Counter[float], low: float, high: float, last: float) -> float:
    """Return the share of the ratings from low to below high; a class of one mark holds it, and the last
    one its end.
    """
    inside = sum(times for mark, times in counts.items() if low <= mark < high or mark == low or mark == high == last)
    return inside / counts.total()


def _margins(facts: Facts) -> list[Chart]:
    query = "SELECT round(margin * 2) / 2 AS wide, count(*) FROM pairs WHERE margin IS NOT NULL GROUP BY 1 ORDER BY 1"
    rows = facts.connection.execute(query).fetchall()
    if not rows:
        return []
    total = sum(times for _, times in rows)
    mean = sum(wide * times for wide, times in rows) / total
    chart = Chart("Margins", f"Difference between the two ratings of a pair; mean {mean:.2f}.")
    return [bars(chart, [f"{wide:g}" for wide, _ in rows], [times for _, times in rows])]


def _orders(facts: Facts) -> list[Chart]:
    found = facts.consistency()
    total = sum(found.values())
    if not total or set(found) == {"one order only"}:
        return []
    parts = [(say(name), [found[name] / total]) for name in CONSISTENT if name in found]
    decided = sum(found.get(name, 0) for name in ("the same wins", "the other wins"))
    notes = [say(f"How verdicts change when the order is swapped, in {plural(total, 'comparison')}.")]
    if decided:
        firm = found.get("the same wins", 0) / decided
        notes.append(say(f"{firm:.0%} of the verdicts without a tie name the same winner both times."))
    means = ", ".join(f"{row['place']}: {row['mean']:.2f}" for row in facts.by_place()[:4])
    notes.append(say("Mean rating by position: {means}.", means=means))
    chart = Chart("Order consistency", " ".join(notes))
    colours = [CONSISTENT[name] for name in CONSISTENT if name in found]
    return [stacked(chart, [say("verdicts")], parts, colours)]


def _matrix(facts: Facts) -> list[Chart]:
    rows = facts.both_orders()
    if not rows:
        return []
    marks = sorted({row[side] for row in rows for side in ("one", "other")})
    total = sum(row["responses"] for row in rows)
    same = sum(row["responses"] for row in rows if row["one"] == row["other"])
    chart = Chart("The same text, rated twice", f"{same / total:.0%} of the texts get the same rating in both orders.")
    with drawing(chart) as axes:
        for row in rows:
            size = 700 * math.sqrt(row["responses"] / total)
            colour = SERIES[0] if row["one"] == row["other"] else BAD
            axes.scatter([row["one"]], [row["other"]], s=size, color=colour, alpha=0.55, linewidths=0)
        if len(marks) <= MOST_TICKS:
            axes.set_xticks(marks)
            axes.set_yticks(marks)
        axes.margins(0.22)
        axes.set_xlabel(say("rating in the first order"))
        axes.set_ylabel(say("in the swapped order"))
    return [chart]


def _length_bias(facts: Facts) -> list[Chart]:
    lengths = [(max(one, 1), max(other, 1)) for one, other in facts.pair_lengths()]
    if not lengths:
        return []
    longer = sum(one > other for one, other in lengths) / len(lengths)
    ratios = [max(-4.0, min(4.0, math.log2(one / other))) for one, other in lengths]
    note = say(f"The chosen answer is longer in {longer:.0%} of {plural(len(lengths), 'pair')}.")
    chart = Chart("Length bias: chosen against rejected", f"{note} {facts.sampled().note}")
    with drawing(chart) as axes:
        _, edges, drawn = axes.hist(ratios, bins=[step / 4 - 0.125 for step in range(-16, 18)])
        patches: Any = drawn
        for edge, patch in zip(edges, patches, strict=False):
            patch.set_facecolor(FAINT if abs(edge + 0.125) < 0.1 else SERIES[1] if edge < 0 else SERIES[0])
        axes.set_xticks([-4, -2, -1, 0, 1, 2, 4], ["16×", "4×", "2×", "=", "2×", "4×", "16×"])
        count_on(axes.yaxis)
        axes.set_xlabel(say("rejected is longer  |  chosen is longer"))
    return [chart]


def _rating_by_length(facts: Facts) -> list[Chart]:
    rows = facts.rating_by_length()
    if len(rows) < 3:
        return []
    chart = Chart("Ratings by length", "Mean rating of ten equally large groups of answers, by length.")
    with drawing(chart) as axes:
        axes.plot(
            [row["chars"] for row in rows], [row["mean"] for row in rows], color=SERIES[0], marker="o", markersize=4
        )
        axes.set_xlabel(say("characters (median of the group)"))
        axes.set_ylabel(say("mean rating"))
    return [chart]


def cost_charts(stages: list[dict[str, Any]]) -> list[Chart]:
    """Tokens and seconds of the stages that asked models."""
    paid = [stage for stage in stages if stage["prompt_tokens"] + stage["completion_tokens"]]
    if not paid:
        return []
    chart = Chart("Tokens", "Tokens of the calls that this run sent; reused calls are not counted.")
    with drawing(chart, (4.6, 1.1 + 0.34 * len(paid))) as axes:
        prompt = [stage["prompt_tokens"] for stage in paid]
        completion = [stage["completion_tokens"] for stage in paid]
        axes.barh(range(len(paid)), prompt, color=SERIES[0], label=say("prompt"), height=0.6)
        axes.barh(range(len(paid)), completion, left=prompt, color=SERIES[1], label=say("completion"), height=0.6)
        axes.set_yticks(range(len(paid)), [stage["stage"] for stage in paid])
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        count_on(axes.xaxis, most=4)
        axes.figure.legend(loc="outside lower center", ncols=2, handlelength=1)
    return [chart]


def _median(values: list[int]) -> float:
    ordered = sorted(values)
    return float(ordered[len(ordered) // 2])


def _mean(counts: Counter[float]) -> float:
    return sum(mark * times for mark, times in counts.items()) / counts.total()
