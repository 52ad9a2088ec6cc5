"""What an answer must pass before it is judged: rules on it alone, SQL conditions, its length next to the others."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from kasasagi.blocks.models.llm import Completion
from kasasagi.tasks.filter.sql import SqlSandbox
from kasasagi.tasks.respond.config import FAR_FROM_MEDIAN, RespondConfig
from kasasagi.tasks.respond.rules import AnswerRules, answer_rules, broken_rule
from kasasagi.tasks.respond.stage import RESPONSES
from kasasagi.tasks.text.response_rules import Answer

FEWEST_FOR_A_MEDIAN = 3
"""Of two answers one would be as far from the median as the other, whichever of them is odd."""
OWN_COLUMNS = pa.schema([field for field in RESPONSES if field.name != "call_id"])
"""The columns of an answer that a condition may use, beside those of its prompt."""
Row = Mapping[str, Any]
Problem = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Checks:
    """All that answers must pass.

    Attributes:
        rules: Rules on one answer alone.
        where: SQL conditions on an answer and its prompt, by reason.
        within_median: How far from the median of its prompt's answers a length may be, as a factor.
        columns: The columns of the prompts, where there are conditions.
    """

    rules: AnswerRules
    where: Mapping[str, str]
    within_median: float | None
    columns: pa.Schema

    @classmethod
    def of(cls, config: RespondConfig, base: Path, columns: pa.Schema) -> "Checks":
        """Return the checks of a recipe.

        Args:
            config: The stage's configuration.
            base: The recipe's folder, where own rules lie.
            columns: The columns of the prompts.

        Raises:
            OwnPythonError: For a user's own rule that cannot be loaded.
        """
        return cls(answer_rules(config.rule_names, base), config.where, config.within_median, columns)

    def problems(
        self,
        prompts: Mapping[str, Row],
        rows: Sequence[Row],
        completions: Sequence[Completion],
        taken: Sequence[Row] = (),
    ) -> list[Problem | None]:
        """Return for each answer the reason and detail for which it is quarantined, or None.

        Args:
            prompts: The prompts by their ids.
            rows: The answers.
            completions: What the model sent, in the same order.
            taken: Further answers, which are not checked but count for the median of their prompt.
        """
        found = [
            self._problem_alone(prompts[row["prompt_id"]], row, one) for row, one in zip(rows, completions, strict=True)
        ]
        found = _with(found, rows, lambda some: broken_conditions(self.where, self.columns, prompts, some))
        return _with(found, rows, lambda some: far_from_median(self.within_median, some, taken))

    def _problem_alone(self, prompt: Row, row: Row, completion: Completion) -> Problem | None:
        if completion.error is not None:
            return completion.error, completion.detail
        broken = broken_rule(self.rules, Answer(prompt["instruction"], row["content"], row["finish_reason"]))
        return None if broken is None else (broken.reason, broken.detail)


def _with(
    found: list[Problem | None], rows: Sequence[Row], test: Callable[[list[Row]], Sequence[Problem | None]]
) -> list[Problem | None]:
    """Return the problems together with those that a test finds in the rows that have none yet."""
    left = [place for place, problem in enumerate(found) if problem is None]
    more = dict(zip(left, test([rows[place] for place in left]), strict=True))
    return [problem or more.get(place) for place, problem in enumerate(found)]


def broken_conditions(
    where: Mapping[str, str], columns: pa.Schema, prompts: Mapping[str, Row], rows: Sequence[Row]
) -> Sequence[Problem | None]:
    """Return for each answer the first condition that it does not meet; one that fails on a row is not met there.

    Args:
        where: SQL conditions by reason.
        columns: The columns of the prompts.
        prompts: The prompts by their ids.
        rows: The answers.
    """
    if not where or not rows:
        return [None] * len(rows)
    wide = [{**prompts[row["prompt_id"]], **row} for row in rows]
    with SqlSandbox() as sandbox:
        return sandbox.first_broken(where, pa.RecordBatch.from_pylist(wide, schema=condition_columns(columns)))


def condition_columns(columns: pa.Schema) -> pa.Schema:
    """Return the columns that a condition may use: an answer's own, and those of its prompt with other names."""
    return pa.schema([*OWN_COLUMNS, *(field for field in columns if field.name not in RESPONSES.names)])


def far_from_median(factor: float | None, rows: Sequence[Row], taken: Sequence[Row]) -> Sequence[Problem | None]:
    """Return for each answer whether it is much longer or shorter than the median of the answers to its prompt.

    Args:
        factor: How many times as long or as short it may be.
        rows: The answers.
        taken: Further answers to the same prompts.
    """
    if factor is None:
        return [None] * len(rows)
    lengths: dict[str, list[int]] = defaultdict(list)
    for row in (*rows, *taken):
        lengths[row["prompt_id"]].append(_length(row))
    return [_far(factor, _length(row), lengths[row["prompt_id"]]) for row in rows]


def _far(factor: float, length: int, lengths: Sequence[int]) -> Problem | None:
    middle = median(lengths)
    if len(lengths) < FEWEST_FOR_A_MEDIAN or middle / factor <= length <= middle * factor:
        return None
    side = "longer" if length > middle else "shorter"
    of = f"the median of {len(lengths)} answers, {middle:g}"
    return FAR_FROM_MEDIAN, f"{length} characters: more than {factor:g} times {side} than {of}"


def _length(row: Row) -> int:
    return len(row["content"].strip())
