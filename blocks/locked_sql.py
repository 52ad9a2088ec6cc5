"""A DuckDB for SQL that a user writes: in memory, without files, network or settings."""

import duckdb

MEMORY_LIMIT = "512MB"


def locked_duckdb() -> duckdb.DuckDBPyConnection:
    """Return a connection that sees only what is registered with it. Close it after use."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": 2,
            "enable_external_access": False,
            "python_enable_replacements": False,
        },
    )
    connection.execute("SET lock_configuration = true")
    return connection
