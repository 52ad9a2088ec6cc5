"""Publishing itself: rows stream from the run's tables into the files, then the folder is put in place."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.own.python import short_name
from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.filter.duplicates.across import AcrossSplits
from kasasagi.tasks.publish.card.dataset_card import CardFacts, card
from kasasagi.tasks.publish.card.plots import draw_plots
from kasasagi.tasks.publish.card.responses_card import responses_card
from kasasagi.tasks.publish.config import PublishConfig, Published, PublishError
from kasasagi.tasks.publish.formats import FORMATS
from kasasagi.tasks.publish.instructions import write_instructions
from kasasagi.tasks.publish.manifest import write_manifest
from kasasagi.tasks.publish.places.folder import replace_folder
from kasasagi.tasks.publish.rows import published_names
from kasasagi.tasks.publish.source import KINDS, Source
from kasasagi.tasks.publish.split_audit import add_parts
from kasasagi.tasks.publish.writer import FormatWriter, split_rows, splits_of
from kasasagi.tasks.reports.known_shortcuts import shortcuts_of
from kasasagi.tasks.tables.run_tables import with_more_memory

CARD = "README.md"


def publish(
    config: PublishConfig,
    run: Run,
    connection: duckdb.DuckDBPyConnection,
    target: Path,
    partial: bool = False,
) -> Published:
    """Publish a run as a dataset folder, all or nothing; it replaces a dataset that was published there before.

    A run without responders publishes its instructions, and one without pairs its responses. Equal rows give equal data
    files, and memory does not grow with their number.

    Args:
        config: The recipe's settings for publishing.
        run: The run.
        connection: A connection with the run's tables (`kasasagi.tasks.tables.run_tables.open_tables`). The caller
            checks that the gates allow a publication.
        target: The folder.
        partial: Mark the dataset as unfinished.

    Raises:
        PublishError: There are no rows, the target contains something other than a dataset of kasasagi, or it cannot
            be written; the target is unchanged then.
    """
    product = run.product()
    if product == "instructions":
        return _publish_instructions(config, run, connection, target, partial)
    config = config.for_product(product)
    source = Source(run, connection, config)
    with ExitStack() as stack:
        _lock(stack, run, target)
        folder = stack.enter_context(replace_folder(target))
        across = AcrossSplits(stack.enter_context(tempfile.TemporaryFile(dir=folder))) if config.split else None
        writers = _write_formats(config, source, folder, Path(run.state().base), across)
        plots = draw_plots(source.figures, folder) if config.hub is not None and product == "pairs" else {}
        audit = with_more_memory(connection, lambda: shortcuts_of(run, connection)) if product == "pairs" else None
        splits = across.find() if across is not None and product == "pairs" else None
        kept = _kept(connection)
        facts = CardFacts(
            config, run, connection, source.figures, kept, partial, writers, plots, shortcuts=audit, splits=splits
        )
        text = card(facts) if product == "pairs" else responses_card(facts)
        (folder / CARD).write_text(text, encoding="utf-8")
        data, others = _file_names(facts)
        data_digest = write_manifest(facts, folder, [CARD, *data, *others, *plots], data, _divisions(facts))
    rows, formats = source.figures.pairs, facts.rows_of_formats
    return Published(path=target.resolve(), rows=rows, digest=data_digest, formats=formats)


def _publish_instructions(
    config: PublishConfig, run: Run, connection: duckdb.DuckDBPyConnection, target: Path, partial: bool
) -> Published:
    with ExitStack() as stack:
        _lock(stack, run, target)
        folder = stack.enter_context(replace_folder(target))
        rows, data_digest = write_instructions(config, run, connection, folder, partial)
    return Published(path=target.resolve(), rows=rows, digest=data_digest)


def _lock(stack: ExitStack, run: Run, target: Path) -> None:
    """Let one publication at a time write to a target."""
    try:
        stack.enter_context(run.workspace.lock(digest({"publish": str(target.resolve())})))
    except OSError as error:
        raise PublishError(
            f"the workspace {run.workspace.folder} cannot be written ({error.strerror or error}), so nothing is "
            "published: make it writable or copy it to where it is"
        ) from error


def _write_formats(
    config: PublishConfig, source: Source, folder: Path, base: Path, across: AcrossSplits | None
) -> list[FormatWriter]:
    """Write the files of all formats in one pass over the pairs and one over the prompts, where wanted."""
    splits = splits_of(config.split)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(FormatWriter(FORMATS.find(name, base), folder / home, splits))
            for name, home in _homes(config).items()
        ]
        for kind in KINDS:
            wanted = [writer for writer in writers if writer.form.rows == kind]
            for table in source.tables(kind, [writer.form for writer in wanted]):
                parts = split_rows(table, source.families, config.split)
                if across is not None and kind == "pairs":
                    add_parts(across, parts)
                for writer in wanted:
                    writer.write(parts)
        for writer in writers:
            writer.finish()
    return writers


def _homes(config: PublishConfig) -> dict[str, str]:
    """Return the folder of each format within the dataset's: the first has the dataset's own."""
    return {name: short_name(name) if place else "" for place, name in enumerate(config.formats)}


def _file_names(facts: CardFacts) -> tuple[list[str], list[str]]:
    """Return the names of the data files of all formats, and of the files beside them."""
    data: list[str] = []
    others: list[str] = []
    for home, writer in zip(_homes(facts.config).values(), facts.writers, strict=True):
        for names, more in zip((data, others), writer.names(), strict=True):
            names += [f"{home}/{name}" if home else name for name in more]
    return data, others


def _divisions(facts: CardFacts) -> dict[str, Any]:
    """Return how the rows are divided into splits and formats, and which a format could not hold, where that is so."""
    entries: dict[str, Any] = {"rows_by_format": rows} if (rows := facts.rows_of_other_formats) else {}
    if facts.config.split is not None:
        entries["splits"] = {writer.form.name: dict(writer.counts) for writer in facts.writers}
    left_out = {writer.form.name: dict(writer.left_out) for writer in facts.writers if writer.left_out}
    return {**entries, "left_out": left_out} if left_out else entries


def _kept(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the columns kept from the source, and the names under which they are published."""
    columns = [row[0] for row in connection.execute("DESCRIBE prompts").fetchall()]
    return published_names([name for name in columns if name not in PROMPTS.names])
