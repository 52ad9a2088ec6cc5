"""What a job has published already: the keys of these prompts, so that a scheduled run publishes only what is new."""

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from blocks.run_tables import open_tables
from blocks.shards import Shard
from blocks.workspace import RunState, Workspace
from tasks.filter.keys import exact_key

REASON = "published_before"
KEYS = pa.schema([("key", pa.string())])
# A run that publishes instructions alone has no pairs, and all its prompts are published.
_PUBLISHED = """
SELECT DISTINCT messages FROM prompts
WHERE prompt_id IN (SELECT prompt_id FROM pairs) OR NOT EXISTS (FROM pairs)
"""


def published_keys(workspace: Workspace, job: str) -> Shard:
    """A shard with the exact key of every prompt that a run of this name in the workspace has published, sorted.

    It is known by its content, so a filter that depends on it is done anew when more was published, and only then.
    """
    keys = {key for state in workspace.runs() if _is_published(state, job) for key in _keys(workspace, state.run)}
    table = pa.table({"key": sorted(keys)}, schema=KEYS)
    return workspace.shards.write(table)


def _is_published(state: RunState, job: str) -> bool:
    return state.name == job and (state.published is not None or state.hub is not None)


def _keys(workspace: Workspace, run: str) -> Iterator[str]:
    """The keys of one run's published prompts; none where its tables are gone."""
    try:
        with open_tables(workspace.run(run)) as connection:
            found = connection.execute(_PUBLISHED)
            while rows := found.fetchmany(2048):
                yield from (exact_key(messages) for (messages,) in rows)
    except (duckdb.Error, OSError):
        return
