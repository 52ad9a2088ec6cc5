"""What a run came to: its state, the funnel, the gates and some pairs, as plain data."""

import time
from typing import Any

from duckdb import DuckDBPyConnection

from kasasagi.blocks.workspace.runs import Run, RunState, Workspace, WorkspaceError
from kasasagi.flows.views.overview.varied import pick_varied
from kasasagi.flows.views.table_reader import fetch, reading
from kasasagi.tasks.gate.explain.reasons import Cause, cause_of

DEFAULT_PAIRS = 3
CANDIDATES = 200

_PAIRS = """
SELECT p.prompt_id, any_value(q.messages) AS messages, p.chosen_rating, p.rejected_rating, p.margin,
       any_value(c.model) AS chosen_model, any_value(c.content) AS chosen,
       any_value(r.model) AS rejected_model, any_value(r.content) AS rejected
FROM (SELECT * FROM pairs ORDER BY prompt_id, chosen_id, rejected_id LIMIT ?) AS p
LEFT JOIN prompts AS q USING (prompt_id)
LEFT JOIN responses AS c ON c.response_id = p.chosen_id
LEFT JOIN responses AS r ON r.response_id = p.rejected_id
GROUP BY p.prompt_id, p.chosen_id, p.rejected_id, p.chosen_rating, p.rejected_rating, p.margin
ORDER BY p.prompt_id, p.chosen_id, p.rejected_id
"""
_RESPONSES = """
SELECT r.prompt_id, q.messages, r.model, r.content
FROM (SELECT * FROM responses ORDER BY prompt_id, model, sample_index LIMIT ?) AS r
LEFT JOIN prompts AS q USING (prompt_id) ORDER BY r.prompt_id, r.model, r.sample_index
"""
_REASONS = "SELECT stage, reason, count(*) AS rows FROM quarantine GROUP BY ALL ORDER BY stage, rows DESC, reason"


def summary(run: Run, pairs: int = DEFAULT_PAIRS) -> dict[str, Any]:
    """Return everything that `show` prints of a run, whether it is active, was killed or has ended.

    Keys: state, seconds, chunks, stages (each with its reasons), gates, pair_count, pairs, instructions where nothing
    answers, response_count, and responses where no pairs are made. Instructions and responses are the first by prompt
    id, which is a digest, so they are a fair sample; of such a sample the pairs are those that differ most in what they
    ask. Raises KasasagiError.
    """
    state = run.state()
    with reading(run) as connection:
        return {
            "state": state.model_dump(),
            "seconds": seconds_taken(state),
            "folder": str(run.folder),
            "chunks": {} if run.database.exists() else _chunks(run),
            "stages": _stages(connection),
            "gates": _gates(connection, run),
            "pair_count": fetch(connection, "SELECT count(*) AS n FROM pairs")[0]["n"],
            "pairs": pick_varied(fetch(connection, _PAIRS, [max(pairs, CANDIDATES)]), pairs),
            "instructions": _instructions(run, connection, pairs),
            "response_count": fetch(connection, "SELECT count(*) AS n FROM responses")[0]["n"],
            "responses": _responses(run, connection, pairs),
        }


def run_list(workspace: Workspace) -> list[dict[str, Any]]:
    """Return one row for each run, the newest first: its state and what it came to, without opening its tables.

    What a run came to is None where its handles cannot be read, as those of another version.
    """
    return [_run_row(Run(workspace, state.run), state) for state in workspace.runs()]


def seconds_taken(state: RunState) -> float | None:
    """Seconds from the start to the end, or to now for an active run; None for one that was killed."""
    end = time.time() if state.status == "running" else state.ended
    return None if end is None else end - state.started


def _run_row(run: Run, state: RunState) -> dict[str, Any]:
    return {
        "run": state.run,
        "recipe": state.name,
        "status": state.status,
        "preview": state.preview,
        "started": state.started,
        "seconds": seconds_taken(state),
        **_came_to(run),
        "published": state.published,
        "places": list(state.all_places),
        "error": state.error,
    }


def _instructions(run: Run, connection: DuckDBPyConnection, most: int) -> list[dict[str, Any]]:
    """Return some instructions of a run without responses; none of another run."""
    if run.product() != "instructions":
        return []
    return fetch(connection, "SELECT prompt_id, messages FROM prompts ORDER BY prompt_id LIMIT ?", [most])


def _responses(run: Run, connection: DuckDBPyConnection, most: int) -> list[dict[str, Any]]:
    """Return some responses of a run that makes no pairs of them; none of another."""
    return fetch(connection, _RESPONSES, [most]) if run.product() == "responses" else []


def _came_to(run: Run) -> dict[str, Any]:
    try:
        handles = run.handles()
    except (OSError, ValueError, WorkspaceError):
        return {"pairs": None, "calls_paid": None, "cost_usd": None}
    return {
        "pairs": sum(h.handle.shards["pairs"].rows for h in handles if "pairs" in h.handle.shards),
        "calls_paid": sum(h.account.calls_paid for h in handles),
        "cost_usd": sum(h.account.cost_usd for h in handles),
    }


def _stages(connection: DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return every stage's account, each with what it quarantined by reason, the most frequent first."""
    reasons: dict[str, dict[str, int]] = {}
    for row in fetch(connection, _REASONS):
        reasons.setdefault(row["stage"], {})[row["reason"]] = row["rows"]
    return [stage | {"reasons": reasons.get(stage["stage"], {})} for stage in fetch(connection, "SELECT * FROM stages")]


def _gates(connection: DuckDBPyConnection, run: Run) -> list[dict[str, Any]]:
    """Return the outcomes of the gates; of each that failed, the `reason` of most rows behind it, and where to `see`
    them.

    A failure that the first chunk shows with the figures of all rows is returned once.
    """
    gates = _without_repeats(fetch(connection, "SELECT * FROM gates"))
    for gate in gates:
        failed = not gate["success"]
        cause = cause_of(connection, run, gate["stage"], gate["expectation"] or "") if failed else Cause("", "")
        gate.update(cause._asdict())
    return gates


def _without_repeats(gates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return outcomes without failures on the first chunk whose figures are those of the whole stage."""
    figures = ("stage", "expectation", "observed", "success")
    whole = [[gate[name] for name in figures] for gate in gates if gate["scope"] == "whole" and not gate["success"]]
    return [gate for gate in gates if gate["scope"] == "whole" or [gate[name] for name in figures] not in whole]


def _chunks(run: Run) -> dict[str, int]:
    chunks: dict[str, int] = {}
    for counted in run.handles():
        chunks[counted.handle.stage] = chunks.get(counted.handle.stage, 0) + 1
    return chunks
