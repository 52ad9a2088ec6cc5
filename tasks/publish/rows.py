"""The rows of a published dataset: each pair with its texts and all that is known of them, in one fixed order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import duckdb
import orjson
import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES, PROMPTS
from kasasagi.tasks.publish.config import PublishConfig, PublishError
from kasasagi.tasks.tables.run_tables import with_more_memory

RANGE_ROWS = 2048
PREFIX_DIGITS = 4
RATIONALES = pa.list_(pa.string())
OWN: dict[str, pa.DataType] = {
    "prompt": MESSAGES,
    "chosen": MESSAGES,
    "rejected": MESSAGES,
    "prompt_id": pa.string(),
    "source": pa.string(),
    "chosen_id": pa.string(),
    "rejected_id": pa.string(),
    "chosen_model": pa.string(),
    "rejected_model": pa.string(),
    "chosen_rating": pa.float64(),
    "rejected_rating": pa.float64(),
    "margin": pa.float64(),
    "chosen_rationale": RATIONALES,
    "rejected_rationale": RATIONALES,
    "chosen_tokens": pa.int64(),
    "rejected_tokens": pa.int64(),
}
RESERVED = frozenset(
    {"messages", "completion", "completions", "label", "labels", "image", "images", "tools", "chat_template_kwargs"}
    | {"prompt_ids", "chosen_ids", "rejected_ids", "ref_chosen_logps", "ref_rejected_logps"}
)
"""Columns that TRL gives a meaning: a kept column of such a name would change how the dataset is trained on."""


# Two prompts that make the same request share its call, which then stands in the table once for each of them.
_REQUESTS = """
SELECT call_id, any_value(request) AS request FROM calls
WHERE stage = 'respond' AND call_id IN (SELECT call_id FROM r) GROUP BY call_id
"""


@dataclass(frozen=True, slots=True)
class IdRange:
    """The rows whose prompt_id is at least `start` and below `end` (None: no end), and how many they are."""

    start: str
    end: str | None
    rows: int


class PairRows:
    """The rows of a run's pairs, ordered by prompt_id, chosen_id, rejected_id, a bounded number in memory at a time.

    Prompt ids are digests, so ranges of them hold about equally many pairs, and the stages' chunks are such ranges too,
    so that each range is read from few places.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, config: PublishConfig) -> None:
        self._connection = connection
        self._config = config
        self.ranges = id_ranges(connection, "pairs")
        self.count = sum(some.rows for some in self.ranges)
        self._query = _query(connection, config)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows, range by range.

        Raises:
            PublishError: If a pair's prompt, response or request is missing.
        """
        for some in self.ranges:
            rows = with_more_memory(self._connection, partial(self._range, some))
            if rows.num_rows != some.rows:
                raise PublishError(
                    f"{some.rows - rows.num_rows} of the pairs from prompt {some.start!r} on lack their prompt or a "
                    "response in this run's tables, so nothing is published: run the recipe again"
                )
            yield self._published_columns(rows)

    def _range(self, some: IdRange) -> pa.Table:
        parameters = {"start": some.start, "end": some.end}
        return self._connection.sql(self._query, params=parameters).to_arrow_table()

    def _published_columns(self, rows: pa.Table) -> pa.Table:
        """Columns as they are published: the prompt as the configuration wants it, and the types that never vary."""
        if self._config.prompt == "as_sent":
            prompts = [
                _sent(*call) for call in zip(*(rows[name].to_pylist() for name in ("call_id", "prompt")), strict=True)
            ]
            rows = rows.set_column(rows.schema.get_field_index("prompt"), "prompt", pa.array(prompts, MESSAGES))
        if self._config.system == "drop":
            prompts = [without_system(turns) for turns in rows["prompt"].to_pylist()]
            rows = rows.set_column(rows.schema.get_field_index("prompt"), "prompt", pa.array(prompts, MESSAGES))
        rows = rows.drop_columns(["call_id"])
        return rows.cast(pa.schema([field.with_type(OWN.get(field.name, field.type)) for field in rows.schema]))


def published_names(kept: list[str]) -> dict[str, str]:
    """Return the name under which each kept column is published: `source_` in front where the name has a meaning
    already.
    """
    taken = set(OWN) | RESERVED | {"call_id"}
    names: dict[str, str] = {}
    for column in kept:
        name = column
        while name.casefold() in taken:
            name = f"source_{name}"
        taken.add(name.casefold())
        names[column] = name
    return names


def id_ranges(connection: duckdb.DuckDBPyConnection, table: str) -> list[IdRange]:
    """Ranges of prompt ids that cover all rows of a table, of at most RANGE_ROWS rows where the ids are digests."""
    prefix = f"left(prompt_id, {PREFIX_DIGITS})"
    counts = connection.execute(f"SELECT {prefix}, count(*) FROM {table} GROUP BY 1 ORDER BY 1").fetchall()
    grouped: list[tuple[str, int]] = []
    for start, rows in counts:
        if grouped and grouped[-1][1] + rows <= RANGE_ROWS:
            grouped[-1] = (grouped[-1][0], grouped[-1][1] + rows)
        else:
            grouped.append((start, rows))
    ends = [*(start for start, _ in grouped), None][1:]
    return [IdRange(start, end, rows) for (start, rows), end in zip(grouped, ends, strict=True)]


def content_of(response: str, config: PublishConfig) -> str:
    """SQL for the text of a response, with its thinking as `with_thinking` writes it where that is asked for."""
    if config.thinking == "drop":
        return f"{response}.content"
    inline = f"'<think>' || chr(10) || {response}.thinking || chr(10) || '</think>' || repeat(chr(10), 2)"
    return f"CASE WHEN coalesce({response}.thinking, '') = '' THEN '' ELSE {inline} END || {response}.content"


def _query(connection: duckdb.DuckDBPyConnection, config: PublishConfig) -> str:
    """SQL for the rows of one range, $start to $end; as_sent gives the whole request of the chosen response's call."""
    columns = [row[0] for row in connection.execute("DESCRIBE prompts").fetchall()]
    kept = published_names([name for name in columns if name not in PROMPTS.names])
    carried = "".join(f", q.{_identifier(column)} AS {_identifier(name)}" for column, name in kept.items())
    prompt, calls = "q.messages", ""
    if config.prompt == "as_sent":
        prompt = "k.request"
        calls = f"LEFT JOIN ({_REQUESTS}) k ON k.call_id = c.call_id"
    here = "prompt_id >= $start AND ($end IS NULL OR prompt_id < $end)"
    return f"""
    WITH p AS (FROM pairs WHERE {here}), q AS (FROM prompts WHERE {here}), r AS (FROM responses WHERE {here}),
    w AS (
        SELECT response_id, list(rationale ORDER BY aspect, ordering, judge) AS rationale
        FROM ratings WHERE {here} GROUP BY response_id
    )
    SELECT {prompt} AS prompt,
        [{{'role': 'assistant', 'content': {content_of("c", config)}}}] AS chosen,
        [{{'role': 'assistant', 'content': {content_of("d", config)}}}] AS rejected,
        p.prompt_id{carried}, q.source, p.chosen_id, p.rejected_id,
        c.model AS chosen_model, d.model AS rejected_model, p.chosen_rating, p.rejected_rating, p.margin,
        x.rationale AS chosen_rationale, y.rationale AS rejected_rationale,
        c.completion_tokens AS chosen_tokens, d.completion_tokens AS rejected_tokens, c.call_id
    FROM p JOIN q USING (prompt_id)
    JOIN r c ON c.response_id = p.chosen_id JOIN r d ON d.response_id = p.rejected_id
    LEFT JOIN w x ON x.response_id = p.chosen_id LEFT JOIN w y ON y.response_id = p.rejected_id
    {calls}
    ORDER BY p.prompt_id, p.chosen_id, p.rejected_id
    """


def request_messages(request: str | None) -> list[dict[str, Any]] | None:
    """Return the messages of a call's request; None where there are none."""
    messages = orjson.loads(request).get("messages") if request else None
    if not isinstance(messages, list) or not all(isinstance(turn.get("content"), str) for turn in messages):
        return None
    return [{"role": turn["role"], "content": turn["content"]} for turn in messages]


def without_system(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages but for those of the system."""
    return [dict(turn) for turn in messages if turn["role"] != "system"]


def _sent(call_id: str, request: str | None) -> list[dict[str, Any]]:
    """Return the messages of a call's request.

    Raises:
        PublishError: If there are none.
    """
    if (messages := request_messages(request)) is None:
        reason = "is not among this run's calls" if request is None else "was not sent as chat messages"
        raise PublishError(
            f"the call {call_id} {reason}, so its prompt cannot be published: use publish.prompt: original"
        )
    return messages


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
