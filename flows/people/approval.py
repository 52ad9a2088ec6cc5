"""A person's approval of a failed gate: given on Prefect's page or by `kasasagi people approve`, and kept."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import apause_flow_run, aresume_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.reporting.artifacts import ignore_failure, slug
from kasasagi.flows.upkeep.stopped_runs import rows_behind
from kasasagi.tasks.gate.approvals import apply_approvals, write_approvals
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.publish.card.markdown import cell, code_block

POLL_SECONDS = 2
HELP = "Turn *Approve* on to accept these rows and continue the run. Leave it off to stop the run."


class Decision(RunInput):
    """What a person says to a gate that failed."""

    approve: bool = Field(False, description="Accept these rows and continue the run; off: stop the run.")


async def request_approval(run: Run, outcomes: Sequence[Outcome], hours: float) -> bool:
    """Pause the flow run until a person decides on Prefect's page, or approves by command; nobody in time means no."""
    text = await asyncio.to_thread(failures_as_markdown, run, outcomes)
    key, about = slug(f"{run.state().name}-approval"), f"what waits for approval in {run.id}"
    await ignore_failure(acreate_markdown_artifact(text, key=key, description=about))
    watch = asyncio.create_task(_resumed_by_command(run, outcomes, UUID(str(flow_run.id))))
    form = Decision.with_initial_data(description=text, approve=False)
    try:
        decision = await apause_flow_run(
            wait_for_input=form, timeout=int(hours * 3600), poll_interval=POLL_SECONDS, key=pause_key(run, outcomes)
        )
    except FlowPauseTimeout:
        return False
    finally:
        watch.cancel()
    if decision.approve:
        write_approvals(run.workspace, run.state().name, outcomes, run.id)
    return bool(decision.approve)


def pause_key(run: Run, outcomes: Sequence[Outcome]) -> str:
    """Return the key of a pause, which must be new for each: a retry of the flow run asks again, under a new run's id.

    Prefect would count pauses from 1 with every retry, and refuse an input that it has already.
    """
    return slug(f"{run.id}-{outcomes[0].stage}-{outcomes[0].scope}")


async def _resumed_by_command(run: Run, outcomes: Sequence[Outcome], flow_run: UUID) -> None:
    """Resume the paused flow run once `kasasagi people approve` has written the approvals down.

    Prefect shows a pause shortly before its form can be answered, and refuses until then: so this asks until cancelled.
    """
    name = run.state().name
    while True:
        if not any(one.stops for one in apply_approvals(run.workspace, name, outcomes)):
            await ignore_failure(aresume_flow_run(flow_run, run_input={"approve": True}))
        await asyncio.sleep(POLL_SECONDS)


def failures_as_markdown(run: Run, outcomes: Sequence[Outcome]) -> str:
    """Outcomes with some of the rows behind each; texts of models stand in fences."""
    parts = []
    for outcome, rows in zip(outcomes, rows_behind(run, outcomes), strict=True):
        shown = "\n\n".join(_row(row) for row in rows)
        parts.append(f"**{cell(outcome.sentence())}**\n\n{shown}".strip())
    return "\n\n---\n\n".join([*parts, HELP])


def _row(row: dict[str, str]) -> str:
    """Return one row: its id, the value that is not as expected where that is not the text itself, and the text."""
    text = row["text"] or ""
    value = "" if row["value"] == text else f", {cell(row['value'])}"
    return f"`{row['id']}`{value}\n\n{code_block(text)}"
