"""The responses that the first rows of a dataset hold, as a run would take them: how many can be rated."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kasasagi.tasks.load import DatasetSource, load_provided
from kasasagi.tasks.respond.provided import take

SHOWN_REASONS = 5


@dataclass(frozen=True, slots=True)
class ProvidedCounts:
    """How many responses some prompts hold, how many can be rated, and how many prompts have two that can.

    Attributes:
        problems: One sentence for each reason why responses are quarantined, the commonest first.
    """

    responses: int
    usable: int
    prompts: int
    comparable: int
    problems: tuple[str, ...]

    def sentences(self) -> list[str]:
        """Say how many can be rated, and what is wrong with the others."""
        first = (
            f"{self.usable} of {self.responses} responses of the source can be rated; {self.comparable} of "
            f"{self.prompts} prompts have two of them"
        )
        return [first, *self.problems[:SHOWN_REASONS]]


def count_provided(source: DatasetSource, base: Path, prompts: Path, into: Path, rows: int) -> ProvidedCounts:
    """Count the responses to the prompts of the first rows of a source. Raises SourceError."""
    found = pq.read_table(prompts, columns=["prompt_id"]).to_pylist()
    result = take(found, pq.read_table(load_provided(source, base, into, rows)).to_pylist())
    usable = Counter(response["prompt_id"] for response in result.rows["responses"])
    comparable = sum(number > 1 for number in usable.values())
    problems = _problems(result.rows["quarantine"], result.rows_in)
    return ProvidedCounts(result.rows_in, result.rows_out, len(found), comparable, problems)


def _problems(quarantined: Sequence[Mapping[str, Any]], responses: int) -> tuple[str, ...]:
    details = {row["reason"]: row["detail"] for row in reversed(quarantined)}
    counts = Counter(row["reason"] for row in quarantined).most_common()
    return tuple(
        f"{number} of {responses} responses are quarantined by respond as {reason}: {details[reason]}"
        for reason, number in counts
    )
