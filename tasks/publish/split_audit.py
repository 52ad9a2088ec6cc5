"""Whether prompts of the test split are like training prompts, worked out as the rows would be published."""

import tempfile
from collections.abc import Mapping

import duckdb
import pyarrow as pa

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.filter.duplicates.across import AcrossSplits, SplitAudit
from kasasagi.tasks.publish.config import PublishConfig
from kasasagi.tasks.publish.files import TEST
from kasasagi.tasks.publish.source import Source
from kasasagi.tasks.publish.writer import split_rows


def split_audit(config: PublishConfig, run: Run, connection: duckdb.DuckDBPyConnection) -> SplitAudit | None:
    """Return how many test prompts are like a training prompt; None without a split or without pairs.

    Args:
        config: The recipe's settings for publishing.
        run: The run.
        connection: A connection with the run's tables.

    Raises:
        PublishError: If a pair's prompt, response or request is missing.
    """
    if config.split is None or run.product() != "pairs" or not _has_pairs(connection):
        return None
    source = Source(run, connection, config)
    with tempfile.TemporaryFile() as file:
        across = AcrossSplits(file)
        for table in source.tables("pairs", ()):
            add_parts(across, split_rows(table, source.families, config.split))
        return across.find()


def add_parts(across: AcrossSplits, parts: Mapping[str, pa.Table]) -> None:
    """Add the prompts of some rows, as `split_rows` gives them."""
    for split, rows in parts.items():
        across.add(split == TEST, rows["prompt_id"].to_pylist(), rows["prompt"].to_pylist())


def _has_pairs(connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute("SELECT 1 FROM pairs LIMIT 1").fetchone() is not None
