"""What a recipe published last, as the source of a run that rates it again."""

from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.errors import KasasagiError, UsageError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe
from kasasagi.tasks.publish import PublishConfig
from kasasagi.tasks.publish.rows import PairRows
from kasasagi.tasks.tables.run_tables import open_tables

FOLDER = "rejudged"
SUFFIX = "-rejudged"
LONGEST_NAME = 64


def last_published(workspace: Workspace, name: str) -> Run:
    """Return the latest run of a recipe that published pairs.

    Raises:
        KasasagiError: If there is none.
    """
    found = [state.run for state in workspace.runs() if state.name == name and (state.published or state.hub)]
    if not found:
        raise KasasagiError(
            f"no run of {name} in the workspace {workspace.folder} has published anything to rate again: run it first"
        )
    return Run(workspace, found[0])


def recipe_from_last_published(loaded: LoadedRecipe, workspace: Workspace) -> LoadedRecipe:
    """Return the recipe that has a recipe's judges rate what it published last, audits that, and publishes nothing.

    Raises UsageError without a judge, and KasasagiError where nothing is published.
    """
    recipe = loaded.recipe
    if recipe.judging is None:
        raise UsageError(f"the recipe {recipe.name} has no judge, so nothing can be rated again: add one")
    file = pairs_file(last_published(workspace, recipe.name))
    there = pq.read_schema(file).names
    plain = recipe.plain()
    changed: dict[str, Any] = {
        "name": recipe.name[: LONGEST_NAME - len(SUFFIX)] + SUFFIX,
        "source": {
            "kind": "dataset",
            "path": str(file),
            "responses": {},
            "keep": [name for name in recipe.kept_columns if name in there],
        },
        "models": {name: plain["models"][name] for name in recipe.judging.judges or list(plain["models"])[:1]},
        "judge": plain["judge"],
        "gates": {"on_fail": "warn"},
        "budget": plain.get("budget", {}),
    }
    return loaded.model_copy(update={"recipe": check_recipe(changed, loaded.base)})


def pairs_file(run: Run) -> Path:
    """Return a file with the pairs of a run as it published them, written once.

    Raises:
        PublishError: If some are lacking.
    """
    publish = PublishConfig.model_validate(run.recipe().get("publish", {}))
    target = run.workspace.folder / FOLDER / f"{run.id}.parquet"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_suffix(".new")
    with open_tables(run) as connection:
        tables = PairRows(connection, publish).tables()
        first = next(tables, None)
        if first is None:
            raise KasasagiError(f"the run {run.id} published no pairs, so there is nothing to rate again")
        with pq.ParquetWriter(new, first.schema) as writer:
            for table in chain([first], tables):
                writer.write_table(table)
    new.replace(target)
    return target
