"""What a run has to publish: its pairs, and its prompts with all their responses, counted while they stream by."""

from collections.abc import Iterator, Sequence
from typing import Literal

import duckdb
import pyarrow as pa

from kasasagi.blocks.hints import command
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish.all_responses import Answers, PromptRows, with_answers
from kasasagi.tasks.publish.card.figures import CardFigures
from kasasagi.tasks.publish.config import PublishConfig, PublishError
from kasasagi.tasks.publish.families import Families, rewrites
from kasasagi.tasks.publish.formats.base import Format
from kasasagi.tasks.publish.rows import PairRows

Kind = Literal["pairs", "prompts"]
KINDS: tuple[Kind, ...] = ("pairs", "prompts")


class Source:
    """The rows of a run. Raises PublishError where there are none."""

    def __init__(self, run: Run, connection: duckdb.DuckDBPyConnection, config: PublishConfig) -> None:
        self.figures = CardFigures()
        self.families = Families(connection, config, rewrites(run))
        self._connection, self._config, self._recipe = connection, config, run.recipe()
        self._product = run.product()
        self._pairs = PairRows(connection, config)
        self._prompts = PromptRows(connection, config, self._recipe, sent="generations" in config.formats)
        rows = self._pairs if self._product == "pairs" else self._prompts
        if not rows.count:
            see = command("quarantine", run.id, workspace=run.workspace.folder)
            raise PublishError(
                f"the run {run.id} has no {self._product}, so there is nothing to publish; see why with `{see}`"
            )

    def tables(self, kind: Kind, forms: Sequence[Format]) -> Iterator[pa.Table]:
        """Return the rows of one kind, some at a time, for some formats; pairs are counted even if none needs them."""
        if kind == "pairs" and self._product == "pairs":
            yield from self._tables_of_pairs(any(form.answers for form in forms))
        elif kind == "prompts" and forms:
            for table in self._prompts.tables():
                if self._product == "responses":
                    self.figures.add_responses(table)
                yield table

    def _tables_of_pairs(self, answers: bool) -> Iterator[pa.Table]:
        beside = Answers(self._connection, self._config, self._recipe, sent=False) if answers else None
        for some, table in zip(self._pairs.ranges, self._pairs.tables(), strict=True):
            self.figures.add(table)
            yield table if beside is None else with_answers(table, beside.of(some))
