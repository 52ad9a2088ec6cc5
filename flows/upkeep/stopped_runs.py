"""What a gate stopped a run for, and the rows behind it: what a person decides on."""

from collections.abc import Sequence
from pathlib import Path

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.errors import KasasagiError, UsageError
from kasasagi.flows.recipe.loading import check_recipe
from kasasagi.tasks.gate.approvals import apply_approvals
from kasasagi.tasks.gate.explain.failing import failing_rows
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.tables.run_tables import open_tables


def rows_behind(run: Run, outcomes: Sequence[Outcome]) -> list[list[dict[str, str]]]:
    """For each outcome some of the rows that were not as expected."""
    base = Path(run.state().base)
    recipe = check_recipe(run.recipe(), base)
    expected = {(one.stage, one.name): one for one in recipe.gates.all()}
    with open_tables(run) as connection:
        return [
            failing_rows(connection, expected[key], base=base)
            if (key := (one.stage, one.expectation)) in expected
            else []
            for one in outcomes
        ]


def waiting_outcomes(workspace: Workspace, name: str | None) -> tuple[Run, list[Outcome]]:
    """Return a run and the outcomes that it waits for a person's word on.

    Raises KasasagiError where no gate stopped the run, and UsageError where its recipe lets no person decide.
    """
    run = workspace.run(name, newest=True)  # a run that waits has no dataset yet
    with open_tables(run) as connection:
        found = connection.execute("SELECT * FROM gates WHERE NOT success AND severity = 'critical'")
        names = [column[0] for column in found.description or ()]
        outcomes = [Outcome.model_validate(dict(zip(names, row, strict=True))) for row in found.fetchall()]
    if not outcomes:
        raise KasasagiError(f"no gate stopped the run {run.id}: there is nothing to approve")
    if run.recipe().get("gates", {}).get("on_fail") != "pause":
        raise UsageError(
            f"the recipe of {run.id} does not wait for a person: run it with --set gates.on_fail=pause, then approve"
        )
    return run, [one for one in apply_approvals(workspace, run.state().name, outcomes) if one.stops]
