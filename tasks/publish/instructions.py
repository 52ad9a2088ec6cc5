"""Instructions alone as a dataset: for supervised fine-tuning once they are answered, or as seeds of another run."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from kasasagi.blocks.hints import command
from kasasagi.blocks.tables import MESSAGES, PROMPTS
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish.card.dataset_card import CardFacts, front_matter, how_it_came_about, origin
from kasasagi.tasks.publish.card.figures import CardFigures
from kasasagi.tasks.publish.card.introduction import cost
from kasasagi.tasks.publish.card.markdown import cell, code_block
from kasasagi.tasks.publish.config import PublishConfig, PublishError
from kasasagi.tasks.publish.files import TRAIN, DataFiles, data_files
from kasasagi.tasks.publish.manifest import write_manifest
from kasasagi.tasks.tables.run_tables import identifier

CARD = "README.md"
RANGE_ROWS = 4096
_LOADING = """\
from datasets import load_from_disk

instructions = load_from_disk("path/to/this/folder/dataset")"""
_SEEDS = """\
source: {kind: dataset, path: path/to/this/folder/train.jsonl}"""
_COLUMNS = """\
| column | what it is |
| --- | --- |
| `messages` | the conversation that waits for an answer; its last turn is the user's |
| `instruction` | the last turn alone |
| `prompt_id` | the digest of the messages |"""


def write_instructions(
    config: PublishConfig, run: Run, connection: duckdb.DuckDBPyConnection, folder: Path, partial: bool
) -> tuple[int, str]:
    """Write a run's instructions into an empty folder, in the order of their draws; gives rows and the data's digest.

    The columns are messages, instruction, prompt_id and what the recipe keeps. Memory does not grow with the rows, and
    equal rows give equal files.

    Raises:
        PublishError: If there are none.
    """
    kept = [name for name in _columns(connection) if name not in PROMPTS.names]
    figures = CardFigures()
    with DataFiles(folder, _schema(connection, kept)) as files:
        for rows in _ranges(connection, kept):
            figures.pairs += rows.num_rows
            for messages in rows["messages"].to_pylist():
                figures.add_prompt(messages)
            files.write(rows)
        files.finish()
    if not figures.pairs:
        see = command("quarantine", run.id, workspace=run.workspace.folder)
        raise PublishError(
            f"the run {run.id} has no instructions, so there is nothing to publish; see why with `{see}`"
        )
    facts = CardFacts(config, run, connection, figures, {name: name for name in kept}, partial, [])
    (folder / CARD).write_text(_card(facts), encoding="utf-8")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return figures.pairs, write_manifest(facts, folder, names, data_files((TRAIN,)))


def _columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [row[0] for row in connection.execute("DESCRIBE prompts").fetchall()]


def _query(kept: list[str], where: str) -> str:
    names = ", ".join(["messages", "instruction", "prompt_id", *map(identifier, kept)])
    return f"SELECT {names} FROM prompts WHERE {where} ORDER BY position, prompt_id"


def _schema(connection: duckdb.DuckDBPyConnection, kept: list[str]) -> pa.Schema:
    found = connection.sql(_query(kept, "false")).to_arrow_table().schema
    ours = {"messages": MESSAGES, "instruction": pa.string(), "prompt_id": pa.string()}
    return pa.schema([pa.field(field.name, ours.get(field.name, field.type)) for field in found])


def _ranges(connection: duckdb.DuckDBPyConnection, kept: list[str]) -> Iterator[pa.Table]:
    """Yield the rows by ranges of their positions, so that few are in memory at a time."""
    schema = _schema(connection, kept)
    last = connection.execute("SELECT coalesce(max(position), -1) FROM prompts").fetchall()[0][0]
    for start in range(0, last + 1, RANGE_ROWS):
        query = _query(kept, f"position >= {start} AND position < {start + RANGE_ROWS}")
        yield connection.sql(query).to_arrow_table().cast(schema)


def _card(facts: CardFacts) -> str:
    rows = facts.figures.pairs
    several = sum(count for turns, count in facts.figures.turns.items() if turns > 1)
    parts = [
        front_matter(facts, ["instructions", "synthetic", "kasasagi"]),
        f"# {cell(facts.run.state().name)}",
        *facts.warnings,
        f"{rows:,} instructions without answers ({cost(facts.connection)}), made by kasasagi in the run "
        f"{cell(facts.run.id)}. Conversations with earlier turns: {several:,}.",
        "## How to load it",
        code_block(_LOADING, "python"),
        "As the seeds of another recipe:",
        code_block(_SEEDS, "yaml"),
        "## Columns",
        _COLUMNS,
        *([f"Columns that the recipe keeps: {', '.join(map(cell, facts.kept))}."] if facts.kept else []),
        *how_it_came_about(facts),
        *origin(facts),
    ]
    return "\n\n".join(parts) + "\n"
