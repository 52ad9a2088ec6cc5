"""What a job has dealt with already: the keys of these prompts, so that a scheduled run takes only what is new.

Those are the published prompts, and those that a run which ended well had answered and judged without a pair coming of
it: a later run that takes them again, and little else, would be stopped by the gates for the share that gives pairs.
"""

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from blocks.run_tables import open_tables
from blocks.shards import Shard
from blocks.workspace import RunState, Workspace
from tasks.filter.keys import exact_key

REASON = "published_before"
NO_PAIR = "no_pair_before"
DETAILS = {REASON: "an earlier run published it", NO_PAIR: "no pair came of it in an earlier run that published"}
KEYS = pa.schema([("key", pa.string()), ("reason", pa.string())])
# A run that publishes instructions alone has no pairs, and all its prompts are published.
_DEALT_WITH = f"""
SELECT messages, CASE
    WHEN prompt_id IN (SELECT prompt_id FROM pairs) OR NOT EXISTS (FROM pairs) THEN '{REASON}' ELSE '{NO_PAIR}'
END AS reason FROM prompts WHERE reason = '{REASON}' OR ?
"""


def published_keys(workspace: Workspace, job: str) -> Shard:
    """A shard with the exact key of every prompt that a run of this name which published has dealt with, sorted.

    Beside each is the reason that sets it aside; a prompt that any run published is a published one. The shard is known
    by its content, so a filter that depends on it is done anew when more was dealt with, and only then.
    """
    found: dict[str, str] = {}
    for state in (one for one in workspace.runs() if _is_published(one, job)):
        for key, reason in _keys(workspace, state):
            found[key] = REASON if REASON in (reason, found.get(key)) else reason
    keys = sorted(found)
    return workspace.shards.write(pa.table({"key": keys, "reason": [found[key] for key in keys]}, schema=KEYS))


def _is_published(state: RunState, job: str) -> bool:
    return state.name == job and (state.published is not None or state.hub is not None)


def _keys(workspace: Workspace, state: RunState) -> Iterator[tuple[str, str]]:
    """The keys of the prompts that one run has dealt with, and what became of each; none where its tables are gone."""
    try:
        with open_tables(workspace.run(state.run)) as connection:
            found = connection.execute(_DEALT_WITH, [state.status == "done"])
            while rows := found.fetchmany(2048):
                yield from ((exact_key(messages), reason) for messages, reason in rows)
    except (duckdb.Error, OSError):
        return
