"""One stage on a few rows, in a notebook or a script: no flow, no Prefect server, and the ledger all the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.flows.recipe.loading import load_recipe
from kasasagi.flows.run.lifecycle import session_of
from kasasagi.flows.run.options import Options
from kasasagi.tasks.asking import read_rows
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.stage_task import StageTask
from kasasagi.tasks.tables import table

Rows = Sequence[Mapping[str, Any]]


def try_stage(
    task: StageTask, rows: Rows, recipe: str, overrides: Sequence[str] = (), *, workspace: str = "", **beside: Rows
) -> dict[str, list[dict[str, Any]]]:
    """Run one stage of a recipe on a few rows and return its output.

    Args:
        task: The stage's task, such as `kasasagi.tasks.respond.respond`.
        rows: The prompts, each with an instruction or messages.
        recipe: A recipe's file or name.
        overrides: Changes to the recipe, each like judge.orders=both.
        workspace: Folder of the ledger; empty means KASASAGI_WORKSPACE, else ./workspace.
        beside: Further tables that the stage reads, such as the responses that a judge rates.

    Returns:
        Rows by table: the prompts as they were taken, what the stage made, quarantine and calls.

    Raises:
        RecipeError: The recipe is invalid.
    """
    loaded, place = load_recipe(recipe, overrides), Workspace.resolve(workspace or None)
    place.prepare()
    tables = {task.how.reads: [_prompt(row, position) for position, row in enumerate(rows)], **beside}
    trial = f"trial-{loaded.recipe.name}"
    with place.temporary_run(trial) as run, session_of(loaded, run, Options(place)) as session:
        context = Context(session, loaded.recipe, loaded.base)
        inputs = {name: place.shards.write(table(name, list(map(dict, some)))) for name, some in tables.items()}
        with activate(context):
            handle = Handle.model_validate(task.fn(task.job(context, 0, inputs)))
        return {name: read_rows(run, shard) for name, shard in {**inputs, **handle.shards}.items()}


def _prompt(row: Mapping[str, Any], position: int) -> dict[str, Any]:
    """Return a row as a prompt of our table; what it has already stays."""
    messages = row.get("messages") or [{"role": "user", "content": row["instruction"]}]
    made = {"prompt_id": prompt_id(messages), "instruction": messages[-1]["content"], "position": position}
    return {**made, **row, "messages": messages}
