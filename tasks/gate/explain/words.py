"""Say in plain words what an expectation is about, what was seen, and what is allowed."""

from typing import Any

import orjson

from kasasagi.tasks.gate.expectation import BY_QUERY, Expectation

FEW_ROWS = 30
"""With fewer rows a share says little: one that misses its limit warns and does not stop the run."""
NO_ROWS = "no rows"
"""What is observed where no row has a value to judge."""
NAMES = {
    "cannot_tell": "answers that cannot be checked",
    "chosen_from_favourite": "chosen from the most frequent model",
    "chosen_is_longer": "chosen longer than rejected",
    "gives_pair": "prompts that give a pair",
    "gates_passed": "parts whose runs passed their gates",
    "has_its_turns": "dialogues that reach their last turn",
    "judges_agree": "judges agree",
    "language_as_asked": "answers in the prompt's language",
    "no_answer": "calls without an answer",
    "over_refusal_rejected": "safe prompts whose rejected answer refuses",
    "refused": "refusals",
    "responder_answers": "every responder answers",
    "safe_prompt_refused": "safe prompts whose chosen answer refuses",
    "same_in_both_orders": "same verdict in both orders",
    "truncated": "answers cut off",
    "unreadable": "replies that cannot be read",
}
"""The columns of the default expectations."""
SCOPES = {"scout": "first chunk", "whole": "all rows"}
"""What a gate was evaluated on, in words."""
_OF_STAGES = {
    ("synthesize", "no_answer"): "draws without an answer",
    ("judge", "no_answer"): "verdicts without an answer",
    ("judge", "unreadable"): "verdicts that cannot be read",
}
"""Where one call answers for several rows, the name says which rows are counted."""
OF_REJECTED = frozenset(
    (
        "cannot_tell",
        "gives_pair",
        "has_its_turns",
        "language_as_asked",
        "no_answer",
        "refused",
        "responder_answers",
        "truncated",
        "unreadable",
    )
)
"""Those that rejected rows decide, so that the reason of most of them says why."""
_CLASSES = {
    "ExpectColumnMaxToBeBetween": "maximum of {column}",
    "ExpectColumnMeanToBeBetween": "mean of {column}",
    "ExpectColumnMedianToBeBetween": "median of {column}",
    "ExpectColumnMinToBeBetween": "minimum of {column}",
    "ExpectColumnValueLengthsToBeBetween": "length of {column}",
    "ExpectColumnValuesToBeBetween": "{column}",
    "ExpectColumnValuesToBeUnique": "unique {column}",
    "ExpectColumnValuesToNotBeNull": "{column} not empty",
    "ExpectSelfPreferenceToBeBetween": "self-preference of judges",
    "ExpectShortcutAucToBeBetween": "shortcut AUC",
    "ExpectSplitDuplicatesToBeBetween": "test prompts like training prompts",
    "ExpectTableRowCountToBeBetween": "rows",
}
_BOUNDS = {"min_value": "at least", "max_value": "at most"}


def plain_name(expectation: str, stage: str = "") -> str:
    """Return what an expectation on a stage is about; its class and column where it is none of the defaults."""
    name, _, column = expectation.removesuffix(")").partition("(")
    if name == BY_QUERY and column:
        return f"unexpected rows: {column}"
    if name == "ExpectColumnValuesToBeInSet" and column in NAMES:
        return _OF_STAGES.get((stage, column), NAMES[column])
    return _CLASSES[name].format(column=column) if name in _CLASSES else expectation


def is_lenient(one: Expectation, rows: int) -> bool:
    """Return whether a share that misses its limit only warns: there are few rows, and each speaks for itself."""
    return 0 < rows < FEW_ROWS and one.arguments.get("mostly") is not None and not _counts_each(one)


def _counts_each(one: Expectation) -> bool:
    """Return whether a single row is enough to act on, since the next run makes good what this one lacks."""
    return one.arguments.get("column") in ("no_answer", "responder_answers", "gates_passed")


def judged_no_rows(success: bool, observed: str | None) -> bool:
    """Return whether an outcome says nothing: no row had a value to judge, so nothing failed."""
    return success and observed == NO_ROWS


def describe_observed(one: Expectation, result: dict[str, Any]) -> str:
    """Return what was seen, the way its limit reads: a share with its count, or a value."""
    if one.arguments.get("unexpected_rows_query") is not None:
        count = result.get("observed_value", 0)
        return f"{count:,} row{'' if count == 1 else 's'}"
    if "unexpected_percent" not in result or result.get("element_count") is None:
        value = result.get("observed_value")
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value:,}"
        return orjson.dumps(value, default=str).decode() if value is not None else "no value"
    count = rows_in(result)
    bad = result.get("unexpected_count") or 0
    held = bad if _limits_from_above(one) else count - bad
    if not count:
        return NO_ROWS
    if count < FEW_ROWS:
        return f"{held} of {count}"
    return f"{held / count:.1%} of {count:,}"


def rows_in(result: dict[str, Any]) -> int:
    """Return how many rows an expectation judged, those without a value left out."""
    return int(result.get("element_count") or 0) - int(result.get("missing_count") or 0)


def limit_of(one: Expectation, arguments: dict[str, Any]) -> str:
    """Return the limit that what was seen is held against.

    Args:
        one: The expectation as the recipe has it.
        arguments: Its arguments as they were applied, relaxed where only the first chunk was looked at.
    """
    limit = _limit(one, arguments)
    plain = _limit(one, one.arguments)
    return limit if limit == plain else f"{plain}; {limit} for the first chunk"


def _limit(one: Expectation, arguments: dict[str, Any]) -> str:
    if arguments.get("unexpected_rows_query") is not None:
        return "at most 0"
    mostly = arguments.get("mostly")
    if mostly is not None and arguments.get("value_set") in ([True], [False]):
        return f"at most {1 - mostly:.1%}" if _limits_from_above(one) else f"at least {mostly:.1%}"
    shown = {name: value for name, value in arguments.items() if name not in ("column", "mostly")}
    words = ", ".join(f"{_BOUNDS.get(name, name)} {_as_written(value)}" for name, value in shown.items())
    if mostly is None:
        return words or "every row"
    return f"{words} in at least {mostly:.1%}" if words else f"at least {mostly:.1%}"


def _as_written(value: Any) -> str:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_count else orjson.dumps(value, default=str).decode()


def _limits_from_above(one: Expectation) -> bool:
    """Return whether an expectation says how many rows at most have a yes in its column."""
    return one.arguments.get("value_set") == [False]
