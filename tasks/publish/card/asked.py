"""Who was asked and how, for the card: one row for each responder, and for each way in which a model was asked."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import duckdb
import orjson

from kasasagi.tasks.publish.card.markdown import mask_secrets
from kasasagi.tasks.tables.run_tables import with_more_memory

MOST_WAYS = 12
"""Rows of one model in one stage; what is left is counted in one more, so that a card stays a card."""

# A patch whose value is null removes the key: what is left of a request is how it was asked, not what.
_WITHOUT_TEXTS = '{"messages": null, "prompt": null, "input": null}'
# A call's model is that of the recipe; under which name it responds stand in the answers alone, kept or quarantined.
_WAYS = f"""
WITH named AS (
    SELECT DISTINCT call_id, model AS responder FROM (
        SELECT call_id, model FROM responses
        UNION ALL SELECT payload->>'call_id', payload->>'model' FROM quarantine
        WHERE stage = 'respond' AND json_valid(payload)
    ) WHERE call_id IS NOT NULL
),
asked AS (
    SELECT stage, model, CASE WHEN stage = 'respond' THEN call_id END AS call_id,
           json_merge_patch(request::JSON, '{_WITHOUT_TEXTS}')::VARCHAR AS ways
    FROM calls WHERE error IS NULL AND json_valid(request)
)
SELECT stage, model, coalesce(responder, model) AS responder, ways, count(*) AS calls
FROM asked LEFT JOIN named USING (call_id) GROUP BY ALL ORDER BY model, responder, calls DESC, ways
"""


def asked_models(connection: duckdb.DuckDBPyConnection, models: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return stage, name here, own name, calls and sampling of everybody who was asked, without failed calls.

    Args:
        connection: The run's tables.
        models: The models of the recipe, as plain data, by their names there.
    """
    found = with_more_memory(connection, partial(_ways, connection))
    groups: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for stage, model, responder, ways, calls in found:
        here = responder if responder == model else f"{responder} ({model})"
        row = (stage, here, _known_as(models.get(model)), calls, _sampling(ways))
        groups.setdefault((stage, model), []).append(row)
    return [row for rows in groups.values() for row in _limit_rows(rows)]


def _ways(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute(_WAYS).fetchall()


def _limit_rows(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows of one model, the rarest together where they are many."""
    if len(rows) <= MOST_WAYS:
        return list(rows)
    ordered = sorted(rows, key=lambda row: -row[3])
    rest = ordered[MOST_WAYS - 1 :]
    stage, _, name, *_ = rest[0]
    return [
        *ordered[: MOST_WAYS - 1],
        (stage, "others", name, sum(row[3] for row in rest), f"{len(rest):,} other ways"),
    ]


def _known_as(model: Any) -> str:
    """Return a model's own name and revision, as the recipe tells them."""
    if not isinstance(model, dict):
        return ""
    name = str(model.get("model") or model.get("kind") or "")
    return f"{name} at {model['revision']}" if model.get("revision") else name


def _sampling(ways: str) -> str:
    """Return the sampling parameters of a request, as one text."""
    fields = mask_secrets(orjson.loads(ways))
    return ", ".join(f"{name} {orjson.dumps(value).decode()}" for name, value in fields.items()) or "the server's own"
