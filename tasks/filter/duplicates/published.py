"""What a job has dealt with already: the keys of these prompts, so that a scheduled run takes only what is new.

Those are the published prompts, and those that a run which ended well had answered and judged without a pair coming of
it: a later run that takes them again, and little else, would be stopped by the gates for the share that gives pairs.
A prompt that has no pair and one of whose calls failed in a way that may pass was not answered and judged: it is new
again. A dialogue counts as the prompt that it grew from, also one that broke off.
"""

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.models.llm import PASSING
from kasasagi.blocks.workspace.runs import RunState, Workspace
from kasasagi.blocks.workspace.shards import Shard
from kasasagi.tasks.filter.duplicates.keys import exact_key
from kasasagi.tasks.tables.run_tables import open_tables

REASON = "published_before"
NO_PAIR = "no_pair_before"
DETAILS = {REASON: "an earlier run published it", NO_PAIR: "an earlier run that published made no pair from it"}
KEYS = pa.schema([("key", pa.string()), ("reason", pa.string())])
_PASSING = ", ".join(f"'{reason}'" for reason in sorted(PASSING))
# A run that publishes instructions alone has no pairs, and all its prompts are published.
_DEALT_WITH = f"""
WITH paired AS (SELECT DISTINCT prompt_id FROM pairs),
unanswered AS (
    SELECT DISTINCT CASE WHEN json_valid(payload) THEN payload->>'prompt_id' END AS prompt_id
    FROM quarantine WHERE stage IN ('respond', 'judge') AND reason IN ({_PASSING})
)
SELECT messages, seed_id, CASE
    WHEN paired.prompt_id IS NOT NULL OR NOT EXISTS (FROM pairs) THEN '{REASON}' ELSE '{NO_PAIR}'
END AS reason
FROM prompts AS p LEFT JOIN (SELECT DISTINCT prompt_id, seed_id FROM turns) USING (prompt_id)
LEFT JOIN paired ON paired.prompt_id = p.prompt_id LEFT JOIN unanswered ON unanswered.prompt_id = p.prompt_id
WHERE paired.prompt_id IS NOT NULL OR (unanswered.prompt_id IS NULL AND (reason = '{REASON}' OR ?))
"""
_BROKEN_OFF = f"""
SELECT CAST(json_extract(payload, '$.messages') AS STRUCT(role VARCHAR, content VARCHAR)[]), row_id, '{NO_PAIR}'
FROM quarantine WHERE stage = 'converse' AND reason NOT IN ({_PASSING}) AND json_valid(payload) AND ?
"""


def published_keys(workspace: Workspace, job: str) -> Shard:
    """Return a shard with the exact key of every prompt that a run of this name which published has dealt with, sorted.

    Beside each is the reason that sets it aside; a prompt that any run published is a published one. The shard is known
    by its content, so a filter that depends on it is repeated when more was published, and only then.
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
    """Yield the keys of the prompts that one run has dealt with, and what became of each; none where its tables are
    gone.
    """
    try:
        with open_tables(workspace.run(state.run)) as connection:
            for query in (_DEALT_WITH, _BROKEN_OFF):
                found = connection.execute(query, [state.status == "done"])
                while rows := found.fetchmany(2048):
                    yield from ((exact_key(_seed(*grown)), reason) for *grown, reason in rows)
    except (duckdb.Error, OSError):
        return


def _seed(messages: list[dict[str, str]], seed: str | None) -> list[dict[str, str]]:
    """Return the beginning of a dialogue that has the id of the prompt which it grew from; all of it where it did not
    grow.
    """
    beginnings = (messages[:end] for end in range(1, len(messages) + 1))
    return next((one for one in beginnings if prompt_id(one) == seed), messages)
