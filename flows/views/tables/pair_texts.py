"""The table `pairs` as a person queries it: with the texts of each pair in front of its documented columns."""

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from kasasagi.tasks.tables.run_tables import identifier

RATINGS = ("chosen_rating", "rejected_rating", "margin")
OTHER_NAME = "_text"

_VIEW = """
CREATE TEMP VIEW pairs AS
SELECT {columns} FROM {home}.pairs AS p
LEFT JOIN {home}.prompts AS q ON q.prompt_id = p.prompt_id
LEFT JOIN {home}.responses AS c ON c.response_id = p.chosen_id
LEFT JOIN {home}.responses AS r ON r.response_id = p.rejected_id
"""
_CONVERSATION = """
CASE WHEN len(q.messages) = 1 THEN q.messages[1].content
ELSE array_to_string(list_transform(q.messages, lambda m: m.role || ': ' || m.content), chr(10)) END
"""
TEXTS = {
    "prompt": _CONVERSATION,
    "chosen": "c.content",
    "rejected": "r.content",
    "chosen_model": "c.model",
    "rejected_model": "r.model",
}


def show_texts(connection: DuckDBPyConnection) -> None:
    """Let `pairs` show prompt, chosen and rejected as text, then ratings and models, then what the table has beside.

    A text whose name a kept column has already is called by that name and `_text`.
    """
    [home] = connection.execute("SELECT current_database() || '.' || current_schema()").fetchall()[0]
    table = [row[0] for row in connection.execute(f"DESCRIBE {home}.pairs").fetchall()]
    texts = [f"{text} AS {identifier(_free(name, table))}" for name, text in TEXTS.items()]
    ordered = [*RATINGS, *(name for name in table if name not in RATINGS)]
    columns = [*texts[:3], *(f"p.{identifier(name)}" for name in ordered[:3]), *texts[3:]]
    columns += [f"p.{identifier(name)}" for name in ordered[3:]]
    connection.execute(_VIEW.format(home=home, columns=", ".join(columns)))


def _free(name: str, taken: Sequence[str]) -> str:
    """Return a name that no column has."""
    there = {one.casefold() for one in taken}
    while name in there:
        name += OTHER_NAME
    return name
