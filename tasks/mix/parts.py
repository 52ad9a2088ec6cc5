"""The runs that a mix takes its pairs from: found by name, refused where they have not ended well, and opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.runs import NoSuchRunError, Run, Workspace
from kasasagi.tasks.mix.config import PART_COLUMNS, MixError, Part, RunsSource
from kasasagi.tasks.tables.run_tables import identifier, open_tables


@dataclass(frozen=True, slots=True)
class PartRun:
    """A part of a mix and its run."""

    name: str
    run: Run
    part: Part

    @contextmanager
    def tables(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the tables of the run."""
        with open_tables(self.run) as connection:
            yield connection

    @property
    def is_mix(self) -> bool:
        """Whether the run is a mix itself."""
        return bool((self.run.recipe().get("source") or {}).get("kind") == "runs")


def resolve_parts(source: RunsSource, workspace: Workspace, base: Path) -> RunsSource:
    """Return the source with each part named by the whole id of its run, in the order of their names.

    Args:
        source: The parts, as the recipe names them.
        workspace: The workspace of the mix.
        base: The folder of the recipe.

    Raises:
        MixError: A part is not a run whose pairs may be mixed; one sentence for each.
    """
    parts, problems, names = dict[str, Part](), list[str](), dict[Path, str]()
    for name in sorted(source.parts):
        try:
            run = _find_run(name, source.parts[name], workspace, base)
        except MixError as error:
            problems.append(str(error))
            continue
        if (other := names.setdefault(run.folder, name)) != name:
            problems.append(f"source.parts.{name}: the run {run.id} is the part {other} already; name it once")
        elsewhere = None if run.workspace.folder == workspace.folder else str(run.workspace.folder)
        update = {"run": run.id, "recipe": None, "workspace": elsewhere}
        parts[name] = source.parts[name].model_copy(update=update)
    if problems:
        raise MixError("\n".join(problems))
    return source.model_copy(update={"parts": parts})


def part_runs(source: RunsSource, workspace: Workspace, base: Path) -> list[PartRun]:
    """Return the parts of a mix with their runs, in the order of their names. Raises MixError."""
    return [PartRun(name, _find_run(name, part, workspace, base), part) for name, part in sorted(source.parts.items())]


def _find_run(name: str, part: Part, workspace: Workspace, base: Path) -> Run:
    """Return the run of a part. Raises MixError where it has no pairs that may be mixed."""
    home = _workspace_of(name, part, workspace, base)
    if part.recipe is not None:
        return _latest_run(name, part.recipe, home)
    try:
        run = home.run(part.run)
    except NoSuchRunError as error:
        raise MixError(f"source.parts.{name}.run: {error}") from error
    if (problem := _refusal(run)) is not None:
        raise MixError(f"source.parts.{name}.run: {problem}")
    return run


def _workspace_of(name: str, part: Part, workspace: Workspace, base: Path) -> Workspace:
    if part.workspace is None:
        return workspace
    path = Path(part.workspace).expanduser()
    found = next((folder for folder in (base / path, path) if (folder / "runs").is_dir()), None)
    if found is None:
        raise MixError(
            f"source.parts.{name}.workspace: {part.workspace!r} is not a workspace, neither beside the recipe nor from "
            "the current folder; name the folder that holds the run"
        )
    return Workspace(found)


def _latest_run(name: str, recipe: str, home: Workspace) -> Run:
    """Return the latest run of a recipe whose pairs may be mixed. Raises MixError where there is none."""
    runs = [Run(home, state.run) for state in home.runs() if state.name == recipe]
    if not runs:
        raise MixError(
            f"source.parts.{name}.recipe: {recipe!r} has no run in the workspace {home.folder}; run it first, or "
            "correct its name"
        )
    found = next((run for run in runs if _refusal(run) is None), None)
    if found is None:
        raise MixError(f"source.parts.{name}.recipe: {_refusal(runs[0])}")
    return found


def _refusal(run: Run) -> str | None:
    """Return why the pairs of a run may not be mixed, and what to do; None where they may."""
    state = run.state()
    if state.status == "running":
        return f"the run {run.id} is still active, so its pairs are not complete; wait until it has ended"
    if state.preview:
        return f"the run {run.id} is a preview of a few rows; name a run of the whole recipe"
    if not state.has_dataset:
        why = f" ({state.error.partition('; see ')[0].rstrip('.')})" if state.error else ""
        return f"the run {run.id} is {state.status}{why}, so its pairs are not mixed; run its recipe again"
    if (product := run.product()) != "pairs":
        return f"the run {run.id} makes {product} and no pairs; add a judge to its recipe and run it again"
    return None


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Return the columns of a table and their types in DuckDB; none where a run of an earlier version lacks it."""
    try:
        return {row[0]: row[1] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
    except duckdb.CatalogException:
        return {}


def kept_columns(part: PartRun, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the columns that the prompts of a part have besides their own, with their types; not those of a mix.

    A column without any value has no type that could be told, and is left out.

    Raises:
        MixError: A column of the part has the name of one that a mix adds.
    """
    names = columns_of(connection, "prompts")
    if (taken := next((one for one in names if one.lower() in PART_COLUMNS and not part.is_mix), None)) is not None:
        raise MixError(
            f"source.parts.{part.name}: the run {part.run.id} keeps a column {taken!r}, which is the name of one that "
            "a mix adds; rename it in the source and run its recipe again"
        )
    kept = {name: kind for name, kind in names.items() if name not in (*PROMPTS.names, *PART_COLUMNS)}
    values = ", ".join(f"count({identifier(name)})" for name in kept)
    counts = connection.execute(f"SELECT {values} FROM prompts").fetchone() if kept else None
    return {name: kind for (name, kind), count in zip(kept.items(), counts or (), strict=True) if count}
