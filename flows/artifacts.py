"""What a run leaves in the Prefect UI: progress by stage, the funnel, the gates, three pairs, a link to the output."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.artifacts import (
    acreate_link_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    aupdate_progress_artifact,
)

from blocks.run_tables import open_tables
from blocks.workspace import Run
from flows.progress import Progress
from flows.progress_line import Rate, line, time_left
from tasks.publish.markdown import cell, fenced, table
from tasks.synthesize import DRAWS_IN_A_CHUNK

if TYPE_CHECKING:
    from blocks.dispatcher import Dispatcher

EVERY_SECONDS = 2.0
PAIRS_SHOWN = 3
CHUNKS_SHOWN = 500
_FUNNEL = """
SELECT stage, rows_in AS "in", rows_out AS "out", quarantined AS "set aside", calls_paid AS "calls",
       calls_reused AS "reused", prompt_tokens AS "tokens in", completion_tokens AS "tokens out", cost_usd AS "US$"
FROM stages
"""
_REASONS = "SELECT stage, reason, count(*) AS rows FROM quarantine GROUP BY ALL ORDER BY stage, rows DESC, reason"
_YIELD = f"""
WITH aside AS (
    SELECT CASE stage WHEN 'filter' THEN payload->>'position' ELSE payload->>'draw' END::BIGINT AS draw, reason
    FROM quarantine WHERE stage IN ('synthesize', 'filter') AND reason <> 'surplus'
),
drawn AS (
    SELECT draw FROM draws UNION ALL SELECT (payload->>'draw')::BIGINT FROM quarantine WHERE stage = 'synthesize'
),
counted AS (SELECT draw // {DRAWS_IN_A_CHUNK} AS chunk, count(*) AS draws FROM drawn GROUP BY 1),
reasons AS (
    SELECT chunk, sum(rows) AS rejected, string_agg(reason || ' ' || rows, ', ' ORDER BY rows DESC, reason) AS reasons
    FROM (SELECT draw // {DRAWS_IN_A_CHUNK} AS chunk, reason, count(*) AS rows FROM aside GROUP BY ALL) GROUP BY chunk
)
SELECT chunk, draws, (draws - coalesce(rejected, 0))::BIGINT AS accepted,
       round(100 * accepted / draws, 1) AS percent, coalesce(reasons, '') AS "set aside"
FROM counted LEFT JOIN reasons USING (chunk) WHERE EXISTS (FROM stages WHERE stage = 'filter')
ORDER BY chunk LIMIT {CHUNKS_SHOWN}
"""
_GATES = (
    'SELECT stage, scope, success AS "holds", expectation, observed, detail AS "expected", severity '
    "FROM gates ORDER BY success, stage, scope"
)
_PAIRS = """
SELECT q.messages, p.chosen_rating, c.model, c.content, p.rejected_rating, r.model, r.content
FROM (SELECT * FROM pairs ORDER BY prompt_id, chosen_id LIMIT ?) AS p
JOIN prompts AS q USING (prompt_id)
JOIN responses AS c ON c.response_id = p.chosen_id
JOIN responses AS r ON r.response_id = p.rejected_id
ORDER BY p.prompt_id
"""


def slug(text: str) -> str:
    """A text as an artifact's key: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


async def kept(work: Awaitable[Any]) -> Any:
    """Make an artifact; a run does not fail because one could not be made."""
    try:
        return await work
    except Exception as error:
        logging.getLogger(__name__).warning("an artifact could not be made: %s", error)
        return None


class ProgressArtifacts:
    """A progress artifact for the run and one for each stage, brought up to date every few seconds."""

    def __init__(self, name: str, progress: Progress, dispatcher: "Dispatcher") -> None:
        self._name = name
        self._progress = progress
        self._dispatcher = dispatcher
        self._started, self._rate = time.monotonic(), Rate()
        self._said = ""
        self._made: dict[str, UUID] = {}
        self._shown: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "ProgressArtifacts":
        self._task = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(TimeoutError):  # a server that does not answer must not hide how the run ended
            await asyncio.wait_for(self._bring_up_to_date(), timeout=10 * EVERY_SECONDS)

    async def _go_on(self) -> None:
        while True:
            started = time.monotonic()
            await self._bring_up_to_date()
            await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - started)))

    async def _bring_up_to_date(self) -> None:
        await self._tell_all()
        await self._tell_stages()

    async def _tell_all(self) -> None:
        """How far the whole run is, with its rates, tokens and dollars so far."""
        now, wanted = time.monotonic(), self._progress.wanted
        done = sum(min(self._progress.done.get(stage, 0), chunks) for stage, chunks in wanted.items())
        share = round(100 * done / max(1, sum(wanted.values())), 1)
        left = time_left(self._progress, now - self._started)
        said = line(self._progress, self._dispatcher, self._rate(now, self._dispatcher.tally.answered), left)
        if "" not in self._made:
            key = slug(f"{self._name}-progress")
            made = await kept(acreate_progress_artifact(share, key=key, description=said))
            if made is not None:
                self._made[""] = made
        elif said != self._said:
            await kept(aupdate_progress_artifact(self._made[""], share, said))
        self._said = said

    async def _tell_stages(self) -> None:
        for stage, wanted in list(self._progress.wanted.items()):
            share = round(100 * min(1.0, self._progress.done.get(stage, 0) / max(1, wanted)), 1)
            if stage not in self._made:
                key = slug(f"{self._name}-{stage}-progress")
                made = await kept(
                    acreate_progress_artifact(share, key=key, description=f"chunks of {stage} that are done")
                )
                if made is not None:
                    self._made[stage] = made
            elif self._shown.get(stage) != share:
                await kept(aupdate_progress_artifact(self._made[stage], share))
            self._shown[stage] = share


async def tell(run: Run) -> None:
    """Make the artifacts of a run that has ended, well or badly."""
    name = run.state().name
    funnel, gates, pairs = await asyncio.to_thread(_texts, run)
    if (drawn := await asyncio.to_thread(yield_table, run)) is not None:
        await kept(acreate_markdown_artifact(drawn, key=slug(f"{name}-yield"), description=f"yield of {run.id}"))
    await kept(acreate_markdown_artifact(funnel, key=slug(f"{name}-funnel"), description=f"funnel of {run.id}"))
    await kept(acreate_markdown_artifact(gates, key=slug(f"{name}-gates"), description=f"gates of {run.id}"))
    await kept(acreate_markdown_artifact(pairs, key=slug(f"{name}-pairs"), description=f"pairs of {run.id}"))
    judges = await asyncio.to_thread(judge_tables, run)
    await kept(acreate_markdown_artifact(judges, key=slug(f"{name}-judges"), description=f"judges of {run.id}"))
    state = run.state()
    for kind, place in (("output", state.published), ("hub", state.hub)):
        if place is not None:
            address = place if "://" in place else f"file://{place}"
            await kept(acreate_link_artifact(address, place, slug(f"{name}-{kind}"), f"dataset of {run.id}"))


def _texts(run: Run) -> tuple[str, str, str]:
    with open_tables(run) as connection:

        def listed(query: str) -> str:
            result = connection.execute(query)
            header = [column[0] for column in result.description or ()]
            return table(header, result.fetchall())

        funnel = f"{listed(_FUNNEL)}\n\nWhat was set aside, and why:\n\n{listed(_REASONS)}"
        pairs = [_pair(row) for row in connection.execute(_PAIRS, [PAIRS_SHOWN]).fetchall()]
        return funnel, listed(_GATES), "\n\n---\n\n".join(pairs) or "no pairs"


def yield_table(run: Run) -> str | None:
    """What was accepted of each chunk of draws, and why the rest was not; None where nothing was drawn or filtered."""
    with open_tables(run) as connection:
        rows = connection.execute(_YIELD).fetchall()
        return table(("chunk", "draws", "accepted", "percent", "set aside"), rows) if rows else None


def judge_tables(run: Run) -> str:
    """The figures of the judges and the histogram of their ratings."""
    figures = ("figure", "judge", "aspect", "subject", "value", "low", "high", "cases")
    counts = ("judge", "aspect", "model", "rating", "verdicts")
    with open_tables(run) as connection:
        told = connection.execute(f"SELECT {', '.join(figures)} FROM judge_figures").fetchall()
        given = connection.execute(f"SELECT {', '.join(counts)} FROM rating_histogram ORDER BY ALL").fetchall()
    return f"{table(figures, told)}\n\n{table(counts, given)}"


def _pair(row: tuple[Any, ...]) -> str:
    messages, chosen_rating, chosen_model, chosen, rejected_rating, rejected_model, rejected = row
    asked = "\n".join(f"{message['role']}: {message['content']}" for message in messages)
    return "\n\n".join(
        [
            f"**Prompt**\n\n{fenced(asked)}",
            f"**Chosen**, {_rated(chosen_rating)}, {cell(chosen_model)}\n\n{fenced(chosen)}",
            f"**Rejected**, {_rated(rejected_rating)}, {cell(rejected_model)}\n\n{fenced(rejected)}",
        ]
    )


def _rated(rating: float | None) -> str:
    return "not rated" if rating is None else f"rated {rating:g}"
