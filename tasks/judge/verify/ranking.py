"""Which checked answers the judges rank: the correct ones of prompts that also have an incorrect one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kasasagi.tasks.judge.config import CHECKLIST, VERIFY

Rows = Sequence[Mapping[str, Any]]
DECIDING = f"""(FROM ratings WHERE (call_id IS NULL AND (judge = '{VERIFY}' OR aspect <> '{CHECKLIST}'))
    OR NOT EXISTS (FROM ratings WHERE judge = '{VERIFY}' AND call_id IS NULL))"""
"""SQL: the ratings that decide which response is better; without those of judges that only rank correct ones."""


def verdicts_in(ratings: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the checker's verdicts among some ratings, by response: 1 for correct, 0 for incorrect."""
    return {row["response_id"]: row["rating"] for row in ratings if row["judge"] == VERIFY}


def ids_to_rank(ratings: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the responses that judges are asked about: at least two correct ones of a prompt with an incorrect one."""
    correct, incorrect = defaultdict[str, list[str]](list), set[str]()
    for row in ratings:
        if row["judge"] == VERIFY and row["rating"]:
            correct[row["prompt_id"]].append(row["response_id"])
        elif row["judge"] == VERIFY:
            incorrect.add(row["prompt_id"])
    return {name for prompt, some in correct.items() if prompt in incorrect and len(some) > 1 for name in some}


def rows_to_rank(prompts: Rows, responses: Rows, ratings: Rows) -> tuple[Rows, Rows]:
    """Return the responses that judges are asked about, and their prompts."""
    shown = ids_to_rank(ratings)
    left = [row for row in responses if row["response_id"] in shown]
    named = {row["prompt_id"] for row in left}
    return [row for row in prompts if row["prompt_id"] in named], left
