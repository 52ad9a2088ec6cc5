"""What the first sentence of a card counts: prompts, calls and dollars, what was lost and why, gates that failed."""

from duckdb import DuckDBPyConnection

from kasasagi.tasks.gate.explain import losses
from kasasagi.tasks.gate.explain.losses import Loss, calls_sent, loss_of
from kasasagi.tasks.publish.card.markdown import cell


def prompts_paired(connection: DuckDBPyConnection, pairs: int) -> str:
    """Return how many prompts the pairs were made from; without that stage, how many have a pair."""
    found = connection.execute("SELECT rows_in FROM stages WHERE stage = 'format_dpo'").fetchone()
    found = found or connection.execute("SELECT count(DISTINCT prompt_id) FROM pairs").fetchone()
    count = found[0] if found else pairs
    return f"{count:,} prompt{'' if count == 1 else 's'}"


def cost(connection: DuckDBPyConnection) -> str:
    """Return how many calls the run made, and their price."""
    found = connection.execute("SELECT sum(calls_paid)::BIGINT, sum(cost_usd) FROM stages").fetchone()
    calls, usd = (value or 0 for value in found or (0, 0))
    price = f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}" if usd else "$0"
    return f"{calls_sent(calls, usd)}, {price}"


def to_look_at(connection: DuckDBPyConnection, stage: str, unit: str, became: str) -> str:
    """Return the end of the sentence: how many rows a stage lost and why, and how many gates failed, if any.

    Args:
        connection: The tables of the run.
        stage: The stage that makes what is published.
        unit: What its rows are, in the singular.
        became: What became of the lost ones, such as `gave no pair`.
    """
    loss = _loss(connection, stage)
    failed = connection.execute("SELECT severity FROM gates WHERE NOT success").fetchall()
    parts = losses.to_look_at([severity for (severity,) in failed])
    if loss is not None:
        lost, why = loss.words(unit, became)
        parts.insert(0, f"{lost} {cell(why)}")
    return f": {'; '.join(parts)}." if parts else "."


def _loss(connection: DuckDBPyConnection, name: str) -> Loss | None:
    query = "SELECT stage, reason, count(*) FROM quarantine GROUP BY ALL ORDER BY stage, count(*) DESC, reason"
    reasons: dict[str, dict[str, int]] = {}
    for stage, reason, rows in connection.execute(query).fetchall():
        reasons.setdefault(stage, {})[reason] = rows
    counted = connection.execute("SELECT stage, rows_in, quarantined FROM stages").fetchall()
    stages = [
        {"stage": stage, "rows_in": rows_in, "quarantined": lost, "reasons": reasons.get(stage, {})}
        for stage, rows_in, lost in counted
    ]
    return next((loss_of(stage, stages) for stage in stages if stage["stage"] == name), None)
