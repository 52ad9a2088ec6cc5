"""What the report tells in numbers, asked of a run's tables; memory does not grow with the rows."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.views.language import say
from kasasagi.flows.views.table_reader import fetch
from kasasagi.tasks.judge.verify.ranking import DECIDING
from kasasagi.tasks.text.languages import language_of

SAMPLE = 20_000
LANGUAGE_SAMPLE = 4_000
READ_CHARS = 4_000
MEMORY = "1GB"
MOST_CATEGORIES = 24
LONGEST_CATEGORY = 60
TIMED = {"load": "loaded", "synthesize": "draws", "filter": "prompts", "respond": "responses", "format_dpo": "pairs"}
_CONSISTENCY = """
WITH marks AS (
    SELECT prompt_id, response_id, ordering, avg(rating) AS rating FROM ratings
    WHERE rating IS NOT NULL AND place IS NOT NULL AND ordering <> 'human' AND prompt_id <= ? GROUP BY ALL
), couples AS (
    SELECT a.response_id AS one, b.response_id AS other, list(sign(a.rating - b.rating) ORDER BY a.ordering) AS signs
    FROM marks a JOIN marks b USING (prompt_id, ordering) WHERE a.response_id < b.response_id GROUP BY ALL
)
SELECT CASE
    WHEN len(signs) < 2 THEN 'one order only'
    WHEN list_min(signs) < 0 AND list_max(signs) > 0 THEN 'the other wins'
    WHEN list_min(signs) = 0 AND list_max(signs) = 0 THEN 'a tie in both'
    WHEN list_contains(signs, 0) THEN 'a tie in one'
    ELSE 'the same wins' END AS verdict, count(*) AS couples
FROM couples GROUP BY ALL
"""
_MATRIX = """
WITH marks AS (
    SELECT response_id, ordering, avg(rating) AS rating FROM ratings
    WHERE rating IS NOT NULL AND place IS NOT NULL AND ordering <> 'human' AND prompt_id <= ? GROUP BY ALL
), twice AS (SELECT list(rating ORDER BY ordering) AS marks FROM marks GROUP BY response_id HAVING count(*) = 2)
SELECT round(marks[1] * 2) / 2 AS one, round(marks[2] * 2) / 2 AS other, count(*) AS responses FROM twice GROUP BY ALL
ORDER BY one, other
"""


@dataclass(frozen=True, slots=True)
class Sampled:
    """How much of a table the report looked at."""

    shown: int
    whole: int

    @property
    def note(self) -> str:
        """A sentence where not all was looked at, else nothing."""
        return "" if self.shown >= self.whole else say(f"From a sample of {self.shown:,} of {self.whole:,}.")


class Facts:
    """Questions to a run's tables. A sample is the first rows by prompt id, a digest, so it is a fair one."""

    def __init__(self, run: Run, connection: DuckDBPyConnection) -> None:
        self.run, self.connection = run, connection
        self._evaluated = fetch(connection, "FROM gates")  # in their order, before DuckDB need not keep any
        for setting in (f"memory_limit = '{MEMORY}'", "preserve_insertion_order = false"):
            connection.execute(f"SET {setting}")
        self.prompts = self.number("SELECT count(*) FROM prompts")
        self.pairs = self.number("SELECT count(*) FROM pairs")
        self.responses = self.number("SELECT count(*) FROM responses")
        self.ratings = self.number("SELECT count(*) FROM ratings")
        self.last = self._last_sampled()

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries."""
        return fetch(self.connection, query, values)

    def number(self, query: str, *values: Any) -> int:
        """Return the one number that a query gives."""
        found = self.connection.execute(query, list(values)).fetchone()
        return int(found[0] or 0) if found else 0

    def column(self, query: str, *values: Any) -> list[Any]:
        """Return the first column of a query."""
        return [row[0] for row in self.connection.execute(query, list(values)).fetchall()]

    def sampled(self) -> Sampled:
        """Return how many prompts the sample holds."""
        return Sampled(min(SAMPLE, self.prompts), self.prompts)

    def _last_sampled(self) -> str:
        """Return the last prompt id of the sample; one behind all where everything is in it."""
        found = self.connection.execute(
            "SELECT prompt_id FROM prompts ORDER BY prompt_id LIMIT 1 OFFSET ?", [SAMPLE - 1]
        ).fetchone()
        return str(found[0]) if found else "~"

    def stages(self) -> list[dict[str, Any]]:
        """Return each stage's account with its reasons, the commonest first."""
        reasons: dict[str, list[dict[str, Any]]] = {}
        query = "SELECT stage, reason, count(*) AS rows FROM quarantine GROUP BY ALL ORDER BY rows DESC, reason"
        for row in self.rows(query):
            reasons.setdefault(row["stage"], []).append(row)
        return [row | {"reasons": reasons.get(row["stage"], [])} for row in self.rows("FROM stages")]

    def gates(self) -> list[dict[str, Any]]:
        """Return all gates: those that failed, and then the others, in the order of the pipeline as on the terminal."""
        places = {stage: place for place, stage in enumerate(self.column("SELECT stage FROM stages"))}
        return sorted(self._evaluated, key=lambda gate: (bool(gate["success"]), places.get(gate["stage"], len(places))))

    def growth(self) -> dict[str, list[tuple[float, int]]]:
        """Return the finished rows of each stage by seconds since the start, from the age of its shards.

        Chunks that an earlier run made count from the start.
        """
        started, store = self.run.state().started, self.run.workspace.shards
        grown: dict[str, list[tuple[float, int]]] = {}
        for counted in self.run.handles():
            shard = counted.handle.shards.get(TIMED.get(counted.handle.stage, ""))
            if shard is not None and shard.rows and store.path(shard).exists():
                age = store.path(shard).stat().st_mtime - started
                grown.setdefault(counted.handle.stage, []).append(
                    (max(0.0, 0.0 if counted.reused else age), shard.rows)
                )
        return {stage: _summed(points) for stage, points in grown.items()}

    def accepted_draws(self) -> list[tuple[int, int]]:
        """After so many draws, so many accepted instructions; at most a few hundred points."""
        query = """
        WITH firsts AS (SELECT prompt_id, min(draw) AS draw FROM draws JOIN prompts USING (prompt_id) GROUP BY ALL),
        kept AS (SELECT draw, draw IN (SELECT draw FROM firsts) AS accepted FROM draws),
        steps AS (SELECT draw // greatest(1, (SELECT max(draw) // 200 FROM draws)) AS step, max(draw) AS last,
            sum(accepted::INT) AS accepted FROM kept GROUP BY ALL)
        SELECT last + 1, sum(accepted) OVER (ORDER BY step) FROM steps ORDER BY step
        """
        return [(int(row[0]), int(row[1])) for row in self.connection.execute(query).fetchall()]

    def languages(self) -> dict[str, Counter[str]]:
        """Return the main languages, by their scripts, of the instructions and of each model's answers, in a sample."""
        begun = f"left(instruction, {READ_CHARS})"
        query = f"SELECT {begun} FROM prompts WHERE instruction IS NOT NULL ORDER BY prompt_id LIMIT ?"
        found = {say("instructions"): _languages(self.column(query, LANGUAGE_SAMPLE))}
        for model in self.column("SELECT DISTINCT model FROM responses ORDER BY model LIMIT 8"):
            query = f"SELECT left(content, {READ_CHARS}) FROM responses WHERE model = ? ORDER BY prompt_id LIMIT ?"
            found[say("answers of {model}", model=model)] = _languages(self.column(query, model, LANGUAGE_SAMPLE // 4))
        return {name: counts for name, counts in found.items() if counts}

    def categories(self) -> dict[str, list[tuple[str, int]]]:
        """Return the values of each column of the prompts that has few of them: tags, topics and the like."""
        columns = self.connection.execute("DESCRIBE prompts").fetchall()
        extra = [(row[0], row[1]) for row in columns if row[0] not in PROMPTS.names]
        found = {name: self._values(name, kind) for name, kind in extra}
        return {name: values for name, values in found.items() if values}

    def _values(self, name: str, kind: str) -> list[tuple[str, int]]:
        column = '"' + name.replace('"', '""') + '"'
        if kind in ("VARCHAR[]", "VARCHAR", "BOOLEAN", "BIGINT"):
            column = f"unnest({column})" if kind == "VARCHAR[]" else f"{column}::VARCHAR"
            query = f"SELECT {column} AS value, count(*) AS rows FROM prompts GROUP BY ALL ORDER BY rows DESC, value"
            rows = self.connection.execute(f"SELECT * FROM ({query}) WHERE value IS NOT NULL LIMIT ?", [100]).fetchall()
            if 1 < len(rows) <= MOST_CATEGORIES and max(len(row[0]) for row in rows) <= LONGEST_CATEGORY:
                return [(str(row[0]), int(row[1])) for row in rows]
        return []

    def ratings_by_model(self) -> dict[str, Counter[float]]:
        """Return how often each model got each rating, to the nearest half."""
        query = f"""
        SELECT model, round(rating * 2) / 2 AS rating, count(*) AS times
        FROM {DECIDING} JOIN responses USING (response_id)
        WHERE rating IS NOT NULL GROUP BY ALL ORDER BY model, rating
        """
        found: dict[str, Counter[float]] = {}
        for row in self.rows(query):
            found.setdefault(row["model"], Counter())[row["rating"]] = row["times"]
        return found

    def consistency(self) -> dict[str, int]:
        """Return how verdicts on two responses change when their order is swapped: couples by kind of change."""
        return {row["verdict"]: row["couples"] for row in self.rows(_CONSISTENCY, self.last)}

    def both_orders(self) -> list[dict[str, Any]]:
        """Return how many responses were rated so in the one order and so in the other."""
        return self.rows(_MATRIX, self.last)

    def by_place(self) -> list[dict[str, Any]]:
        """Return the mean rating of the texts that were shown first, second and so on."""
        return self.rows(
            "SELECT place, avg(rating) AS mean FROM ratings "
            "WHERE rating IS NOT NULL AND place IS NOT NULL GROUP BY 1 ORDER BY 1"
        )

    def rating_by_length(self) -> list[dict[str, Any]]:
        """Return the mean rating of responses in ten classes of length, from the shortest to the longest."""
        return self.rows(
            f"""
            WITH rated AS (
                SELECT response_id, avg(rating) AS rating FROM {DECIDING} WHERE prompt_id <= ? GROUP BY ALL),
            sized AS (SELECT response_id, length(content) AS chars FROM responses WHERE prompt_id <= ?),
            classed AS (SELECT chars, rating, ntile(10) OVER (ORDER BY chars) AS class
                FROM sized JOIN rated USING (response_id) WHERE rating IS NOT NULL)
            SELECT class, median(chars) AS chars, avg(rating) AS mean, count(*) AS responses FROM classed
            GROUP BY class ORDER BY class
            """,
            self.last,
            self.last,
        )

    def pair_lengths(self) -> list[tuple[int, int]]:
        """Characters of the chosen and of the rejected response of the sample's pairs."""
        query = """
        WITH sized AS MATERIALIZED (
            SELECT response_id, length(content) AS chars FROM responses WHERE prompt_id <= $last
        ), kept AS (FROM pairs WHERE prompt_id <= $last)
        SELECT c.chars, r.chars FROM kept p JOIN sized c ON c.response_id = p.chosen_id
        JOIN sized r ON r.response_id = p.rejected_id
        """
        found = self.connection.execute(query, {"last": self.last}).fetchall()
        return [(int(one), int(other)) for one, other in found]


def _summed(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    total, grown = 0, []
    for seconds, rows in sorted(points):
        total += rows
        grown.append((seconds, total))
    return grown


def _languages(texts: list[str]) -> Counter[str]:
    return Counter(language_of(text or "") or "unknown" for text in texts)
