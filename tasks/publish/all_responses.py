"""Every response to a prompt with all that is known of it: its rating, each verdict on it, and what was asked."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from kasasagi.blocks.tables import MESSAGES, PROMPTS
from kasasagi.tasks.mix.combined_ratings import combine_ratings_for
from kasasagi.tasks.publish.config import PublishConfig
from kasasagi.tasks.publish.formats.base import ANSWERS
from kasasagi.tasks.publish.rows import (
    IdRange,
    content_of,
    id_ranges,
    published_names,
    request_messages,
    without_system,
)
from kasasagi.tasks.tables.run_tables import identifier, with_more_memory

ANSWER = pa.struct(
    [
        ("response_id", pa.string()),
        ("model", pa.string()),
        ("content", pa.string()),
        ("sample_index", pa.int64()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("rating", pa.float64()),
        ("judges", pa.list_(pa.string())),
        ("rationales", pa.list_(pa.string())),
        ("messages", MESSAGES),
    ]
)
ANSWER_COLUMNS = (
    "response_id",
    "model",
    "content",
    "sample_index",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
)
_HERE = "prompt_id >= $start AND ($end IS NULL OR prompt_id < $end)"
_RATINGS = f"SELECT * FROM ratings WHERE {_HERE} ORDER BY aspect, ordering, judge, place"
# Calls know no prompts: sorted once by them, a range of prompts is found without looking through all requests again.
_SORT_REQUESTS = """
CREATE OR REPLACE TEMP TABLE sent_requests AS
SELECT r.prompt_id, k.call_id, k.request FROM calls AS k
JOIN (SELECT DISTINCT prompt_id, call_id FROM responses) AS r USING (call_id)
WHERE k.stage = 'respond' ORDER BY r.prompt_id
"""
_REQUESTS = f"SELECT call_id, request FROM sent_requests WHERE {_HERE}"


class Answers:
    """Reads the responses of a range of prompts; `sent` is whether the messages of their requests are wanted too."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, config: PublishConfig, recipe: Mapping[str, Any], sent: bool
    ) -> None:
        self._connection = connection
        self._combine = combine_ratings_for(connection, recipe)
        self._drops_system = config.system == "drop"
        self._sent = sent
        self._query = f"""
        SELECT prompt_id, response_id, model, {content_of("r", config)} AS content, sample_index, finish_reason,
               prompt_tokens, completion_tokens, call_id
        FROM responses AS r WHERE {_HERE} ORDER BY prompt_id, model, sample_index, response_id
        """
        if sent:
            with_more_memory(connection, partial(connection.execute, _SORT_REQUESTS))

    def of(self, some: IdRange) -> dict[str, list[dict[str, Any]]]:
        """Return the responses of each prompt of a range, in the order of their models and samples."""
        responses = self._rows(self._query, some)
        ratings = self._rows(_RATINGS, some)
        candidates = self._combine(responses, ratings)
        rated = {one.response_id: one.rating for found in candidates.values() for one in found}
        verdicts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in ratings:
            verdicts[row["response_id"]].append(row)
        requests = {row["call_id"]: row["request"] for row in self._rows(_REQUESTS, some)} if self._sent else {}
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in responses:
            name = row["response_id"]
            made = _answer(row, rated.get(name), verdicts[name])
            found[row["prompt_id"]].append({**made, "messages": self._messages(requests.get(row["call_id"]))})
        return found

    def _messages(self, request: str | None) -> list[dict[str, Any]] | None:
        """Return what was sent, as it is published; None where nothing was, or is not wanted."""
        sent = request_messages(request)
        return without_system(sent) if sent and self._drops_system else sent

    def _rows(self, query: str, some: IdRange) -> list[dict[str, Any]]:
        rows = with_more_memory(self._connection, partial(_read, self._connection, query, some))
        return list(rows.to_pylist())


def _read(connection: duckdb.DuckDBPyConnection, query: str, some: IdRange) -> pa.Table:
    return connection.sql(query, params={"start": some.start, "end": some.end}).to_arrow_table()


def _answer(row: Mapping[str, Any], rating: float | None, verdicts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ANSWER_COLUMNS},
        "rating": rating,
        "judges": sorted({one["judge"] for one in verdicts if one["judge"]}),
        "rationales": [one["rationale"] for one in verdicts if one["rationale"]],
    }


def with_answers(rows: pa.Table, found: Mapping[str, list[dict[str, Any]]]) -> pa.Table:
    """Return the rows with the responses of each one's prompt beside it."""
    column = [found.get(prompt_id, []) for prompt_id in rows["prompt_id"].to_pylist()]
    return rows.append_column(pa.field(ANSWERS, pa.list_(ANSWER)), pa.array(column, pa.list_(ANSWER)))


class PromptRows:
    """A row for each prompt that has responses, with all of them, ordered by prompt_id, some at a time."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        config: PublishConfig,
        recipe: Mapping[str, Any],
        sent: bool = False,
    ) -> None:
        self._connection, self._config = connection, config
        self._answers = Answers(connection, config, recipe, sent)
        self.ranges = id_ranges(connection, "responses")
        self.count = sum(some.rows for some in self.ranges)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows, range by range: prompt, prompt_id, instruction, source, what is kept, and ANSWERS."""
        columns = [row[0] for row in self._connection.execute("DESCRIBE prompts").fetchall()]
        kept = published_names([name for name in columns if name not in PROMPTS.names])
        carried = "".join(f", {identifier(column)} AS {identifier(name)}" for column, name in kept.items())
        query = (
            f"SELECT messages AS prompt, prompt_id, instruction, source{carried} FROM prompts WHERE {_HERE} "
            f"AND prompt_id IN (SELECT prompt_id FROM responses WHERE {_HERE}) ORDER BY prompt_id"
        )
        for some in self.ranges:
            rows = with_more_memory(self._connection, partial(_read, self._connection, query, some))
            yield with_answers(self._published_columns(rows), self._answers.of(some))

    def _published_columns(self, rows: pa.Table) -> pa.Table:
        prompts = rows["prompt"].to_pylist()
        if self._config.system == "drop":
            prompts = [without_system(turns) for turns in prompts]
        return rows.set_column(rows.schema.get_field_index("prompt"), "prompt", pa.array(prompts, MESSAGES))
