"""What a run's tables say of its judges, as tables of their own."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from duckdb import DuckDBPyConnection

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.runs import Run, RunHandle
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.tasks.mix.about import models_of
from kasasagi.tasks.reports.code import code_digest
from kasasagi.tasks.reports.judge import histogram, judge_figures
from kasasagi.tasks.reports.politeness import politeness_figures
from kasasagi.tasks.reports.self_preference import self_preference
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.known_results import KnownResults, content_of
from kasasagi.tasks.tables.run_tables import tables_of, with_more_memory

STAGE = "report"
READ = ("calls", "mix_parts", "pairs", "ratings", "responses")
"""The tables that the reports are made of; of the calls only what is the same in every run."""


def reports(tables: DuckDBPyConnection, recipe: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the tables `rating_histogram` and `judge_figures`, worked out from a run's other tables.

    Args:
        tables: The tables of the run.
        recipe: Its recipe as plain data, which names the models.
    """
    of_families = self_preference(tables, models_of(tables, recipe))
    figures = [*judge_figures(tables), *of_families, *politeness_figures(tables)]
    return {"rating_histogram": histogram(tables), "judge_figures": figures}


def keep_reports(run: Run) -> None:
    """Keep the reports among the run's shards, so that its database holds them; no run fails for want of them.

    Reports on the same rows are taken from an earlier run.
    """
    try:
        handles = run.handles()
        known, key = KnownResults(run.workspace.report_results_folder), _key(run, handles)
        shards = _known_shards(run, known.find(key))
        if shards is None:
            with tables_of(run, handles) as tables:
                tables.execute(f"SET temp_directory = {quoted(run.folder / 'scratch')}")
                rows = with_more_memory(tables, lambda: reports(tables, run.recipe()))
            shards = {name: run.workspace.shards.write(table(name, some)) for name, some in rows.items() if some}
            known.keep(key, {name: shard.model_dump() for name, shard in shards.items()})
        run.add(Handle(stage=STAGE, run=run.id, shards=shards, account=Account()), reused=False)
    except Exception as error:
        logging.getLogger(__name__).warning("the reports on the judge could not be made: %s", error)


def _key(run: Run, handles: Sequence[RunHandle]) -> str:
    """Return the key of the reports on a run, by all that they read."""
    return digest(["reports", code_digest(), run.recipe().get("models") or {}, content_of(handles, READ)])


def _known_shards(run: Run, found: Any) -> dict[str, Shard] | None:
    """Return the shards of earlier reports, if they are still there."""
    try:
        shards = {name: Shard.model_validate(one) for name, one in found.items()}
    except (AttributeError, ValueError):
        return None
    return shards if run.workspace.shards.contains_all(shards) else None
