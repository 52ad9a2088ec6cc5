"""What a run says about ratings by distribution: how many there are, and why the others are read from the text."""

import logging
from collections.abc import Mapping

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.reports.judge import reads_distributions
from kasasagi.tasks.tables.run_tables import open_tables

_WHY = {
    "no_logprobs": "because the server gave no log probabilities",
    "unclear_place": "because it is unclear where the rating stands",
    "split_number": "because its tokens are parts of a number",
    "little_mass": "because most of the probability is on other words",
}
_READ = (
    "SELECT judge, read, count(*) FROM ratings WHERE read IS NOT NULL GROUP BY ALL ORDER BY judge, count(*) DESC, read"
)


def ratings_read(run: Run) -> list[str]:
    """Return a line for each judge whose ratings are not all by distribution; none if they were read another way."""
    try:
        with open_tables(run) as tables:
            rows = tables.execute(_READ).fetchall() if reads_distributions(tables) else []
    except Exception as error:  # no run fails for want of a remark
        logging.getLogger(__name__).warning("how ratings were read could not be counted: %s", error)
        return []
    return lines_of({(judge, read): count for judge, read, count in rows})


def lines_of(counted: Mapping[tuple[str, str], int]) -> list[str]:
    """Return a line for each judge with ratings from the text; counted holds those by judge and way."""
    found: dict[str, dict[str, int]] = {}
    for (judge, read), count in counted.items():
        found.setdefault(judge, {})[read] = count
    return [_line(judge, counts) for judge, counts in found.items() if set(counts) - {"distribution"}]


def _line(judge: str, counts: dict[str, int]) -> str:
    others = {read: count for read, count in counts.items() if read != "distribution"}
    reasons = [f"{count:,} {_WHY.get(read, read)}" for read, count in others.items()]
    total = sum(counts.values())
    return "; ".join([f"judge {judge}: {sum(others.values()):,} of {total:,} ratings are read from the text", *reasons])
