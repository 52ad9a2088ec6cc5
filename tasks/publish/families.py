"""Which published prompts belong together, so that no split has one of them in train and another in test."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.mix.about import is_mix
from kasasagi.tasks.publish.config import PublishConfig
from kasasagi.tasks.rewrite.config import ORIGIN

_ROOTS = """
WITH here AS (SELECT unnest($prompts) AS prompt_id),
t AS (SELECT DISTINCT prompt_id, seed_id FROM turns WHERE prompt_id IN (FROM here))
SELECT q.prompt_id, coalesce({origin}, t.seed_id, q.prompt_id) AS root
FROM prompts AS q LEFT JOIN t USING (prompt_id) WHERE q.prompt_id IN (FROM here)
"""
_MESSAGES = "SELECT prompt_id, messages FROM prompts WHERE prompt_id IN (SELECT unnest($prompts))"


def rewrites(run: Run) -> bool:
    """Return whether prompts of a run may be rewritten, so that its tables say what each began as.

    Those of a mix may: one part may hold what was made of a prompt of another.
    """
    recipe = run.recipe()
    return recipe.get("rewrite") is not None or is_mix(recipe)


class Families:
    """The family of each pair's prompt: an id that is the same for all prompts that belong together.

    That of a prompt as it was loaded is its own id. Where the recipe rewrites prompts, it is the id of the prompt that
    a rewrite or a grown dialogue began as. Where prompts are altered for publishing, two may have become one, and it is
    the id of the turns without system messages: those of the prompt as published, with rewrites those of their origin
    (or its id, if the run's tables hold it only as the dialogue that it grew into).
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, config: PublishConfig, rewritten: bool) -> None:
        self._connection = connection
        self._altered = config.alters_prompts
        self._rewritten = rewritten

    def of(self, rows: pa.Table) -> list[str]:
        """Return the family of each published row, in their order."""
        if self._altered and not self._rewritten:
            return [_turns_id(messages) for messages in rows["prompt"].to_pylist()]
        prompts: list[str] = rows["prompt_id"].to_pylist()
        if not self._rewritten:
            return prompts
        roots = self._roots(set(prompts))
        shared = self._turns(set(roots.values())) if self._altered else {}
        return [shared.get(roots[name], roots[name]) for name in prompts]

    def _roots(self, prompts: Collection[str]) -> dict[str, str]:
        """Return what each of some prompts began as."""
        columns = {row[0] for row in self._connection.execute("DESCRIBE prompts").fetchall()}
        query = _ROOTS.format(origin=f"q.{ORIGIN}" if ORIGIN in columns else "NULL")  # none where no rewriting was read
        return dict(self._connection.execute(query, {"prompts": sorted(prompts)}).fetchall())

    def _turns(self, prompts: Collection[str]) -> dict[str, str]:
        """Return the ids of those turns of some prompts that the tables hold."""
        found = self._connection.execute(_MESSAGES, {"prompts": sorted(prompts)}).fetchall()
        return {name: _turns_id(messages) for name, messages in found}


def _turns_id(messages: Sequence[Mapping[str, Any]]) -> str:
    return prompt_id([dict(turn) for turn in messages if turn["role"] != "system"])
