"""Publishing itself: rows stream from the run's tables into the files, then the folder is put in place."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb

from blocks.canonical import digest
from blocks.tables import PROMPTS
from blocks.workspace import Run
from tasks.publish.card import CardFacts, card
from tasks.publish.config import PublishConfig, Published, PublishError
from tasks.publish.families import Families, rewrites
from tasks.publish.figures import Figures
from tasks.publish.folder import replaced
from tasks.publish.formats import FORMATS
from tasks.publish.instructions import write_instructions
from tasks.publish.manifest import write_manifest
from tasks.publish.plots import draw_plots
from tasks.publish.rows import PairRows, published_names
from tasks.publish.writer import FormatWriter, divided, splits_of

CARD = "README.md"


def publish(
    config: PublishConfig,
    run: Run,
    connection: duckdb.DuckDBPyConnection,
    target: Path,
    partial: bool = False,
) -> Published:
    """Write a run's pairs as a dataset folder: whole or not at all, in place of one that was published there before.

    A run whose recipe has nobody answer publishes its instructions.

    connection has the run's tables (`blocks.run_tables.open_tables`); whether its gates allow a publication is the
    caller's matter. partial marks the dataset as unfinished. Memory does not grow with the pairs, and equal rows give
    equal data files. Raises PublishError where there are no pairs, where the target holds anything else than a
    dataset of ours, or where it cannot be written; the target is then as it was.
    """
    if run.only_instructions():
        return _publish_instructions(config, run, connection, target, partial)
    rows = PairRows(connection, config)
    if not rows.count:
        raise PublishError(
            f"the run {run.id} has no pairs, so there is nothing to publish: "
            f"see with `kasasagi show {run.id}` where its rows went"
        )
    with ExitStack() as stack:
        _lock(stack, run, target)
        folder = stack.enter_context(replaced(target))
        families = Families(connection, config, rewrites(run))
        figures, writers = _write_formats(config, rows, families, folder)
        plots = draw_plots(figures, folder) if config.hub is not None else {}
        facts = CardFacts(config, run, connection, figures, _kept(connection), partial, writers, plots)
        (folder / CARD).write_text(card(facts), encoding="utf-8")
        data, others = _file_names(facts)
        data_digest = write_manifest(facts, folder, [CARD, *data, *others, *plots], data, _divisions(facts))
    return Published(path=target.resolve(), rows=figures.pairs, digest=data_digest)


def _publish_instructions(
    config: PublishConfig, run: Run, connection: duckdb.DuckDBPyConnection, target: Path, partial: bool
) -> Published:
    with ExitStack() as stack:
        _lock(stack, run, target)
        folder = stack.enter_context(replaced(target))
        rows, data_digest = write_instructions(config, run, connection, folder, partial)
    return Published(path=target.resolve(), rows=rows, digest=data_digest)


def _lock(stack: ExitStack, run: Run, target: Path) -> None:
    """Let one publication at a time write to a target."""
    try:
        stack.enter_context(run.workspace.locked(digest({"publish": str(target.resolve())})))
    except OSError as error:
        raise PublishError(
            f"the workspace {run.workspace.folder} cannot be written ({error.strerror or error}), so nothing is "
            "published: make it writable or copy it to where it is"
        ) from error


def _write_formats(
    config: PublishConfig, rows: PairRows, families: Families, folder: Path
) -> tuple[Figures, list[FormatWriter]]:
    """Write the files of all formats in one pass over the rows."""
    figures = Figures()
    splits = splits_of(config.split)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(FormatWriter(FORMATS[name], folder / home, splits))
            for name, home in _homes(config).items()
        ]
        for table in rows.tables():
            figures.add(table)
            parts = divided(table, families, config.split)
            for writer in writers:
                writer.write(parts)
        for writer in writers:
            writer.finish()
    return figures, writers


def _homes(config: PublishConfig) -> dict[str, str]:
    """The folder of each format within the dataset's: the first has the dataset's own."""
    return {name: name if place else "" for place, name in enumerate(config.formats)}


def _file_names(facts: CardFacts) -> tuple[list[str], list[str]]:
    """The names of the data files of all formats, and of the files beside them."""
    data: list[str] = []
    others: list[str] = []
    for home, writer in zip(_homes(facts.config).values(), facts.writers, strict=True):
        for names, more in zip((data, others), writer.names(), strict=True):
            names += [f"{home}/{name}" if home else name for name in more]
    return data, others


def _divisions(facts: CardFacts) -> dict[str, Any]:
    """How the rows are divided into splits, and which a format could not hold; nothing where neither is so."""
    said: dict[str, Any] = {}
    if facts.config.split is not None:
        said["splits"] = {writer.form.name: dict(writer.counts) for writer in facts.writers}
    left_out = {writer.form.name: dict(writer.left_out) for writer in facts.writers if writer.left_out}
    return {**said, "left_out": left_out} if left_out else said


def _kept(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The columns kept from the source, and the names under which they are published."""
    columns = [row[0] for row in connection.execute("DESCRIBE prompts").fetchall()]
    return published_names([name for name in columns if name not in PROMPTS.names])
