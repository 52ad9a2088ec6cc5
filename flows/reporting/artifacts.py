"""What a run leaves in the Prefect UI: progress by stage, the funnel, the gates, three pairs, a link to the output."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from duckdb import DuckDBPyConnection
from prefect.artifacts import (
    acreate_link_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    aupdate_progress_artifact,
)

from kasasagi.blocks.workspace.runs import Product, Run
from kasasagi.flows.reporting.progress import Progress
from kasasagi.flows.reporting.progress_line import Rate, line, time_left
from kasasagi.flows.reporting.report_timeouts import Reports
from kasasagi.tasks.gate.explain.words import NO_ROWS, plain_name
from kasasagi.tasks.publish.card.markdown import cell, code_block, table
from kasasagi.tasks.synthesize.counting import DRAWS_IN_A_CHUNK
from kasasagi.tasks.tables.run_tables import open_tables

if TYPE_CHECKING:
    from kasasagi.blocks.dispatch.dispatcher import Dispatcher

EVERY_SECONDS = 10.0
STEP = 10
"""Percents of a stage's chunks by which its progress artifact grows, so that few updates are sent."""
PAIRS_SHOWN = 3
CHUNKS_SHOWN = 500
_FUNNEL = """
SELECT stage, rows_in AS "in", rows_out AS "out", quarantined, calls_paid AS "calls",
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
       round(100 * accepted / draws, 1) AS percent, coalesce(reasons, '') AS rejected
FROM counted LEFT JOIN reasons USING (chunk) WHERE EXISTS (FROM stages WHERE stage = 'filter')
ORDER BY chunk LIMIT {CHUNKS_SHOWN}
"""
_GATES = (
    f"SELECT stage, scope, CASE WHEN NOT success THEN 'no' WHEN observed = '{NO_ROWS}' THEN '{NO_ROWS}' ELSE 'yes' END "
    'AS "passed", expectation, observed, detail AS "expected", severity '
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


_RESPONSES = """
SELECT q.messages, r.model, r.content
FROM (SELECT * FROM responses ORDER BY prompt_id, model, sample_index LIMIT ?) AS r JOIN prompts AS q USING (prompt_id)
ORDER BY r.prompt_id, r.model, r.sample_index
"""
_INSTRUCTIONS = "SELECT messages FROM prompts ORDER BY prompt_id LIMIT ?"


def slug(text: str) -> str:
    """Return a text as an artifact's key: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


async def ignore_failure(work: Awaitable[Any]) -> Any:
    """Ask Prefect for what a run can do without, such as an artifact: a failure is logged, and the run continues."""
    try:
        return await work
    except Exception as error:
        logging.getLogger(__name__).info("Prefect did not do what was asked: %r", error)
        return None


class ProgressArtifacts:
    """A progress artifact for the run and one for each stage, updated every few seconds."""

    def __init__(self, name: str, progress: Progress, dispatcher: "Dispatcher", reports: Reports) -> None:
        self._name = name
        self._reports = reports
        self._progress = progress
        self._dispatcher = dispatcher
        self._started, self._rate = time.monotonic(), Rate()
        self._description = ""
        self._made: dict[str, UUID] = {}
        self._shown: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "ProgressArtifacts":
        self._task = asyncio.create_task(self._keep_updating())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(TimeoutError):
            await self._reports.within(self._bring_up_to_date())

    async def _keep_updating(self) -> None:
        while True:
            started = time.monotonic()
            await self._bring_up_to_date()
            await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - started)))

    async def _bring_up_to_date(self) -> None:
        await self._update_total()
        await self._update_stages()

    async def _update_total(self) -> None:
        """How far the whole run is, with its rates, tokens and dollars so far."""
        now, wanted = time.monotonic(), self._progress.wanted
        done = sum(min(self._progress.done.get(stage, 0), chunks) for stage, chunks in wanted.items())
        share = round(100 * done / max(1, sum(wanted.values())), 1)
        left = time_left(self._progress, now - self._started)
        rate = self._rate(now, self._dispatcher.counters.answered)
        description = line(self._progress, self._dispatcher, rate, left)
        if "" not in self._made:
            key = slug(f"{self._name}-progress")
            made = await ignore_failure(acreate_progress_artifact(share, key=key, description=description))
            if made is not None:
                self._made[""] = made
        elif description != self._description:
            await ignore_failure(aupdate_progress_artifact(self._made[""], share, description))
        self._description = description

    async def _update_stages(self) -> None:
        for stage, wanted in list(self._progress.wanted.items()):
            share = STEP * (int(100 * min(1.0, self._progress.done.get(stage, 0) / max(1, wanted))) // STEP)
            if stage not in self._made:
                key = slug(f"{self._name}-{stage}-progress")
                made = await ignore_failure(
                    acreate_progress_artifact(share, key=key, description=f"chunks of {stage} that are done")
                )
                if made is not None:
                    self._made[stage] = made
            elif self._shown.get(stage) != share:
                await ignore_failure(aupdate_progress_artifact(self._made[stage], share))
            self._shown[stage] = share


async def create_artifacts(run: Run, reports: Reports) -> None:
    """Make the artifacts of a run that has ended, well or badly, while there is time for them."""
    for artifact in await asyncio.to_thread(_artifacts, run):
        await ignore_failure(reports.within(artifact()))


def _artifacts(run: Run) -> list[Callable[[], Awaitable[Any]]]:
    """Return what makes each artifact of a run that has ended."""
    name, product = run.state().name, run.product()
    funnel, gates, shown = _texts(run)
    drawn = yield_table(run)
    texts = {} if drawn is None else {"yield": drawn}
    texts |= {"funnel": funnel, "gates": gates, product: shown}
    if product == "pairs":
        texts["judges"] = judge_tables(run)
    made: list[Callable[[], Awaitable[Any]]] = [
        partial(acreate_markdown_artifact, text, key=slug(f"{name}-{what}"), description=f"{what} of {run.id}")
        for what, text in texts.items()
    ]
    state = run.state()
    for kind, place in (("output", state.published), ("hub", state.hub)):
        if place is not None:
            address = place if "://" in place else f"file://{place}"
            key = slug(f"{name}-{kind}")
            made.append(partial(acreate_link_artifact, address, place, key, f"dataset of {run.id}"))
    return made


def _texts(run: Run) -> tuple[str, str, str]:
    with open_tables(run) as connection:

        def query_table(query: str) -> str:
            result = connection.execute(query)
            header = [column[0] for column in result.description or ()]
            return table(header, result.fetchall())

        funnel = f"{query_table(_FUNNEL)}\n\nQuarantined rows, and why:\n\n{query_table(_REASONS)}"
        product = run.product()
        query, drawn = _SHOWN[product]
        rows = [drawn(row) for row in connection.execute(query, [PAIRS_SHOWN]).fetchall()]
        return funnel, gates_table(connection), "\n\n---\n\n".join(rows) or f"no {product}"


def gates_table(connection: DuckDBPyConnection) -> str:
    """Return the outcomes of the gates, each by what it is about."""
    result = connection.execute(_GATES)
    header = [column[0] for column in result.description or ()]
    place, stage = header.index("expectation"), header.index("stage")
    rows = [(*row[:place], plain_name(row[place], row[stage]), *row[place + 1 :]) for row in result.fetchall()]
    return table(header, rows)


def yield_table(run: Run) -> str | None:
    """Return what was accepted of each chunk of draws, and why the rest was not; None where nothing was drawn or
    filtered.
    """
    with open_tables(run) as connection:
        rows = connection.execute(_YIELD).fetchall()
        return table(("chunk", "draws", "accepted", "percent", "rejected"), rows) if rows else None


def judge_tables(run: Run) -> str:
    """Return the figures of the judges and the histogram of their ratings."""
    figures = ("figure", "judge", "aspect", "subject", "value", "low", "high", "cases")
    counts = ("judge", "aspect", "model", "rating", "verdicts")
    with open_tables(run) as connection:
        rows = connection.execute(f"SELECT {', '.join(figures)} FROM judge_figures").fetchall()
        histogram = connection.execute(f"SELECT {', '.join(counts)} FROM rating_histogram ORDER BY ALL").fetchall()
    return f"{table(figures, rows)}\n\n{table(counts, histogram)}"


def _pair(row: tuple[Any, ...]) -> str:
    messages, chosen_rating, chosen_model, chosen, rejected_rating, rejected_model, rejected = row
    return "\n\n".join(
        [
            _prompt(messages),
            f"**Chosen**, {_format_rating(chosen_rating)}, {cell(chosen_model)}\n\n{code_block(chosen)}",
            f"**Rejected**, {_format_rating(rejected_rating)}, {cell(rejected_model)}\n\n{code_block(rejected)}",
        ]
    )


def _response(row: tuple[Any, ...]) -> str:
    messages, model, content = row
    return f"{_prompt(messages)}\n\n**Response**, {cell(model)}\n\n{code_block(content)}"


def _prompt(messages: list[dict[str, str]]) -> str:
    asked = "\n".join(f"{message['role']}: {message['content']}" for message in messages)
    return f"**Prompt**\n\n{code_block(asked)}"


_SHOWN: dict[Product, tuple[str, Callable[[tuple[Any, ...]], str]]] = {
    "pairs": (_PAIRS, _pair),
    "responses": (_RESPONSES, _response),
    "instructions": (_INSTRUCTIONS, lambda row: _prompt(row[0])),
}


def _format_rating(rating: float | None) -> str:
    return "not rated" if rating is None else f"rated {round(rating, 2):g}"
