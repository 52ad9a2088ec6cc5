"""What differs between two runs: their recipes, their accounts and their pairs."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import ValidationError
from rich.console import Console

from kasasagi.blocks.hints import printed_command
from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import plain
from kasasagi.flows.views.language import say
from kasasagi.flows.views.safe_text import plural
from kasasagi.flows.views.table_reader import fetch, reading
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.tables.run_tables import stage_accounts

ABSENT = "not set"
_COUNTED = ("rows_in", "rows_out", "quarantined", "calls_paid", "calls_reused")
_COUNTED_TOO = ("prompt_tokens", "completion_tokens", "cost_usd")
_PAIR_COLUMNS = "SELECT DISTINCT prompt_id, chosen_id, rejected_id FROM pairs"
_COMPARE = """
WITH l AS (SELECT *, least(chosen_id, rejected_id) AS one, greatest(chosen_id, rejected_id) AS two FROM left_pairs),
     r AS (SELECT *, least(chosen_id, rejected_id) AS one, greatest(chosen_id, rejected_id) AS two FROM right_pairs),
     b AS (SELECT l.chosen_id = r.chosen_id AS same, l.prompt_id IS NOT NULL AS has_left,
                  r.prompt_id IS NOT NULL AS has_right
           FROM l FULL JOIN r ON l.prompt_id = r.prompt_id AND l.one = r.one AND l.two = r.two)
SELECT count(*) FILTER (same) AS in_both, count(*) FILTER (NOT same) AS swapped,
       count(*) FILTER (NOT has_right) AS only_left, count(*) FILTER (NOT has_left) AS only_right,
       (SELECT count(*) FROM (SELECT prompt_id FROM l INTERSECT SELECT prompt_id FROM r)) AS prompts_in_both
FROM b
"""


def difference(left: Run, right: Run) -> dict[str, Any]:
    """Return what differs between two runs.

    `recipe` maps each differing key (`respond.sampling.temperature`) to its two values, `defaults` each of those that a
    recipe leaves at its default to which of the two it is, `stages` each stage to the two values of each differing
    count, and `pairs` counts pairs of the same two responses (in_both; swapped, where
    what was chosen there is rejected here), pairs of one run alone, and prompts that have a pair in both.
    """
    changes = _changes(flatten(left.recipe()), flatten(right.recipe()))
    defaults = _fill_defaults(changes, [_with_defaults(left), _with_defaults(right)])
    return {
        "left": left.id,
        "right": right.id,
        "recipe": changes,
        "defaults": defaults,
        "stages": _stages(left, right),
        "pairs": _pairs(left, right),
    }


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level: `a.b.0.c`; lists of plain values stay lists."""
    nested = isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value)
    if not (isinstance(value, dict) or nested) or not value:
        return {prefix: value}
    items = enumerate(value) if nested else value.items()
    flat: dict[str, Any] = {}
    for key, item in items:
        flat |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _with_defaults(run: Run) -> dict[str, Any]:
    """Return the settings of a run with every default, flat; none where this version cannot read its recipe."""
    try:
        return flatten(Recipe.model_validate(run.recipe()).model_dump(mode="json"))
    except ValidationError:
        return {}


def _fill_defaults(changes: dict[str, list[Any]], settings: Sequence[dict[str, Any]]) -> dict[str, list[bool]]:
    """Put the defaults in the places that recipes leave unset; return which values are defaults."""
    defaults: dict[str, list[bool]] = {}
    for key, values in changes.items():
        unset = [value == ABSENT and key in known for value, known in zip(values, settings, strict=True)]
        if any(unset):
            defaults[key] = unset
            values[:] = [
                known[key] if one else value for value, known, one in zip(values, settings, unset, strict=True)
            ]
    return defaults


def draw_difference(shown: dict[str, Any], console: Console) -> None:
    """Draw what differs."""
    sides = [shown["left"], shown["right"]]
    drawing.heading(console, "Recipe" if shown["recipe"] else "Recipe: the same")
    if shown["recipe"]:
        rows = [[key, *_texts(values, shown["defaults"].get(key))] for key, values in shown["recipe"].items()]
        _draw_values(console, ["key", *sides], rows)
    drawing.heading(console, "Accounts" if shown["stages"] else "Accounts: the same")
    rows = [
        [stage, name, *_texts(values)] for stage, counts in shown["stages"].items() for name, values in counts.items()
    ]
    if rows:
        _draw_values(console, ["stage", "count", *sides], rows)
    _draw_pairs(shown, console)


def draw_pair_changes(old: Run, new: Run, console: Console) -> None:
    """Draw what became of an older run's pairs in a newer one, and the commands that come next."""
    folder = new.workspace.folder
    compare = printed_command("diff", old.id, new.id, workspace=folder)
    publish = printed_command("dataset", "publish", new.id, workspace=folder)
    next_commands = say("Compare: {compare}", compare=compare), say("Publish: {publish}", publish=publish)
    console.print()
    for line in (pair_changes(old, new), *next_commands):
        console.print(plain(line), soft_wrap=True)


def pair_changes(old: Run, new: Run) -> str:
    """Return in one sentence what became of an older run's pairs in a newer run."""
    pairs = _pairs(old, new)
    same = pairs["in_both"] + pairs["swapped"]
    changes = [
        (pairs["in_both"], "{number} the same"),
        (pairs["swapped"], "{number} with chosen and rejected swapped"),
        (pairs["only_left"], "{number} gone"),
        (pairs["only_right"], "{number} new"),
    ]
    parts = ", ".join(say(text, number=f"{number:,}") for number, text in changes if number)
    before, now = f"{same + pairs['only_left']:,}", f"{same + pairs['only_right']:,}"
    counts = say("Pairs: {before} before, {now} now", before=before, now=now)
    return f"{counts} ({parts})" if parts else counts


def _draw_pairs(shown: dict[str, Any], console: Console) -> None:
    pairs = shown["pairs"]
    drawing.heading(console, "Pairs")
    fields = [
        ("the same in both", f"{pairs['in_both']:,}"),
        ("chosen and rejected swapped", f"{pairs['swapped']:,}"),
        (f"only in {shown['left']}", f"{pairs['only_left']:,}"),
        (f"only in {shown['right']}", f"{pairs['only_right']:,}"),
    ]
    table = drawing.new_table([("", "left"), ("pairs", "right")])
    for label, number in fields:
        table.add_row(plain(label), number)
    drawing.draw(console, table)
    console.print(plain(f"{plural(pairs['prompts_in_both'], 'prompt')} with a pair in both", "dim"))


def _draw_values(console: Console, names: list[str], rows: list[list[str]]) -> None:
    table = drawing.new_table([(name, "left") for name in names])
    for column in table.columns:
        column.no_wrap, column.overflow = False, "fold"
    for row in rows:
        table.add_row(*(plain(drawing.shorten(console, value)) for value in row))
    console.print(table)


def _texts(values: list[Any], defaults: list[bool] | None = None) -> list[str]:
    """Return two values as text; which of them are defaults is said."""
    marks = [" (default)" if one else "" for one in defaults or [False, False]]
    return [f"{_text(value)}{mark}" for value, mark in zip(values, marks, strict=True)]


def _text(value: Any) -> str:
    return "null" if value is None else drawing.as_text(value)


def _changes(left: dict[str, Any], right: dict[str, Any]) -> dict[str, list[Any]]:
    keys = dict.fromkeys([*left, *right])
    both = {key: [left.get(key, ABSENT), right.get(key, ABSENT)] for key in keys}
    return {key: values for key, values in both.items() if values[0] != values[1]}


def _stages(left: Run, right: Run) -> dict[str, dict[str, list[Any]]]:
    accounts = [
        {stage: account.model_dump(include={*_COUNTED, *_COUNTED_TOO}) for stage, account in made.items()}
        for made in (stage_accounts(left.handles()), stage_accounts(right.handles()))
    ]
    stages = dict.fromkeys([*accounts[0], *accounts[1]])
    changed = {stage: _changes(accounts[0].get(stage, {}), accounts[1].get(stage, {})) for stage in stages}
    return {stage: counts for stage, counts in changed.items() if counts}


def _pairs(left: Run, right: Run) -> dict[str, int]:
    with duckdb.connect(":memory:") as connection:
        for name, run in (("left_pairs", left), ("right_pairs", right)):
            connection.register(name, _pair_table(run))
        return fetch(connection, _COMPARE)[0]


def _pair_table(run: Run) -> pa.Table:
    with reading(run) as connection:
        return connection.sql(_PAIR_COLUMNS).to_arrow_table()
