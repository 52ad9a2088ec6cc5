"""The filter itself: batches of prompts meet the rules, the predicates and the key of duplicates, then are settled."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kasasagi.blocks.canonical import digest, digest_file
from kasasagi.blocks.own.python import verdict
from kasasagi.tasks.filter.config import CONTAMINATED, OF_DUPLICATES, DedupConfig, FilterConfig, FilterResult
from kasasagi.tasks.filter.duplicates import contamination, minhash, overlap
from kasasagi.tasks.filter.duplicates import near as near_module
from kasasagi.tasks.filter.duplicates.contamination import Contamination, check_sets, sets_digest
from kasasagi.tasks.filter.duplicates.keys import exact_key
from kasasagi.tasks.filter.duplicates.near import Near, NearDuplicates
from kasasagi.tasks.filter.duplicates.published import DETAILS as DEALT_WITH
from kasasagi.tasks.filter.own import rule_file, rule_function
from kasasagi.tasks.filter.rules import texts
from kasasagi.tasks.filter.rules.politeness import politeness
from kasasagi.tasks.filter.rules.registry import FilterError, Rule
from kasasagi.tasks.filter.sql import SqlSandbox
from kasasagi.tasks.filter.steps import Step, steps
from kasasagi.tasks.load.json_text import json_text
from kasasagi.tasks.load.staging import META, Style, batches, bounded_duckdb, parquet_writer, scratch_folder, settle
from kasasagi.tasks.text import languages, response_rules, topics
from kasasagi.tasks.text.classifier import classifier, pieces
from kasasagi.tasks.text.leaks import second_turn, template_marks
from kasasagi.tasks.text.thoughts import mentions, thinking, thinking_forms

COLUMNS: Mapping[str, Callable[[str], str | None]] = {"politeness": politeness}
_OUR_TEXTS = ("prompt_id", "instruction", "source", "finish_reason", "stop_reason")
Rules = Sequence[str | dict[str, Any]]
Outcome = list[tuple[str, str] | None]
"""For each row of a batch the reason and detail of the first rule it broke, None while it holds."""


@dataclass(frozen=True, slots=True)
class FilterPlan:
    """A filter ready to run: its steps, the functions of the user's own ones by name, its configuration."""

    steps: list[Step]
    functions: dict[str, Callable[..., Any]]
    config: FilterConfig
    contamination: Contamination | None = None
    published: Mapping[str, str] = field(default_factory=dict)

    def widen(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch of prompts with the columns that the filter adds."""
        for name in self.config.columns:
            texts = batch.column("instruction").to_pylist()
            values = [None if text is None else COLUMNS[name](text) for text in texts]
            batch = batch.append_column(name, pa.array(values, pa.string()))
        return batch


def run_filter(
    config: FilterConfig, prompts: Path, into: Path, base: Path, default_rules: Rules, published: Path | None
) -> FilterResult:
    """Return what `filter_prompts` of the package says."""
    schema = _widened(pq.read_schema(prompts).remove_metadata(), config)
    plan = _plan(config, base, default_rules)
    if published is not None:
        plan = replace(plan, published=_reasons(published))
    if config.contamination is not None:
        plan = replace(plan, contamination=Contamination(config.contamination, base))
    style = Style("filter", "the same text as the prompt", lambda batch: batch.select(schema.names), payloads)
    with SqlSandbox() as room:
        _check_where(room, config, [schema])
        with scratch_folder(into) as folder:
            scratch = folder / "staged.parquet"
            (folder / "whole").mkdir()
            rows = _stage(_by_position(prompts, folder), scratch, schema, plan, room)
            rows_out, quarantined = settle(scratch, folder / "whole", schema, style)
            if config.dedup.near is not None:
                rows_out, alike = _settle_near(config.dedup, folder, schema, style)
                quarantined += alike
            for name in ("prompts.parquet", "quarantine.parquet"):
                os.replace(folder / "whole" / name, into / name)
    return FilterResult(rows, rows_out, quarantined, into / "prompts.parquet", into / "quarantine.parquet")


def _widened(schema: pa.Schema, config: FilterConfig) -> pa.Schema:
    """Return a schema with the columns that the filter adds.

    Raises:
        FilterError: If one of them is there.
    """
    for name in config.columns:
        if name in schema.names:
            raise FilterError(f"filter.columns: {name!r} is a column of the prompts: keep it under another name")
        schema = schema.append(pa.field(name, pa.string()))
    return schema


def _settle_near(dedup: DedupConfig, folder: Path, schema: pa.Schema, style: Style) -> tuple[int, int]:
    """Set the near duplicates among the settled prompts aside as well; count the rows that stay and these."""
    whole, scratch, apart = folder / "whole", folder / "near.parquet", folder / "near"
    _stage_near(whole / "prompts.parquet", scratch, schema, _near(dedup, whole / "prompts.parquet", folder))
    apart.mkdir()
    counts = settle(scratch, apart, schema, style)
    os.replace(apart / "prompts.parquet", whole / "prompts.parquet")
    both = [str(place / "quarantine.parquet") for place in (whole, apart)]
    with bounded_duckdb(folder) as connection:
        ordered = connection.read_parquet(both).order("position")
        ordered.write_parquet(str(folder / "quarantine.parquet"), compression="zstd")
    os.replace(folder / "quarantine.parquet", whole / "quarantine.parquet")
    return counts


def _near(dedup: DedupConfig, prompts: Path, folder: Path) -> dict[int, Near]:
    rows = pq.read_metadata(prompts).num_rows
    with NearDuplicates(rows, dedup.near or 1.0, dedup.shingle, folder) as near:
        for batch in batches(prompts, ["messages"]):
            near.add(batch.column(0).to_pylist())
        return near.find()


def _stage_near(prompts: Path, scratch: Path, schema: pa.Schema, near: dict[int, Near]) -> None:
    """Write every row with its outcome to the scratch file; the detail names the survivor and how alike they are."""
    survivors = {found.survivor for found in near.values()}
    ids: dict[int, str] = {}
    start = 0
    with parquet_writer(scratch, pa.schema([*META, *schema])) as writer:
        for batch in batches(prompts):
            outcome: Outcome = []
            for row, prompt in enumerate(batch.column("prompt_id").to_pylist(), start):
                if row in survivors:
                    ids[row] = prompt
                outcome.append(_alike(near[row], ids) if row in near else None)
            writer.write_batch(staged(batch.cast(schema), start, outcome, [None] * len(outcome)))
            start += batch.num_rows


def _alike(found: Near, ids: Mapping[int, str]) -> tuple[str, str]:
    return "near_duplicate", f"similarity {found.similarity:.3f} to the prompt {ids[found.survivor]}"


def check(config: FilterConfig, columns: Sequence[str], base: Path, default_rules: Rules) -> None:
    """Check a filter as `check_filter` of the package does; a kept column may have any type."""
    _plan(config, base, default_rules)
    if config.contamination is not None:
        check_sets(config.contamination, base)
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    types = {"messages": pa.list_(turn), "position": pa.int64(), **dict.fromkeys(_OUR_TEXTS, pa.string())}
    kinds = (pa.string(), pa.null())
    tables = [_widened(pa.schema([(name, types.get(name, kind)) for name in columns]), config) for kind in kinds]
    with SqlSandbox() as room:
        _check_where(room, config, tables)


def digest_of(config: FilterConfig, base: Path, default_rules: Rules) -> str:
    """Return what `filter_digest` of the package says."""
    wanted = steps(config.rules, default_rules)
    files = {step.name: digest_file(rule_file(step, base)) for step in wanted if step.rule is None}
    rules = [[step.name, step.parameters, step.rule and _substance(step.rule)] for step in wanted]
    near = _modules(near_module, minhash) if config.dedup.near else None
    dedup = [config.dedup.keyed(), near]
    columns = [[name, _modules(sys.modules[COLUMNS[name].__module__])] for name in config.columns]
    found = {"columns": columns, "dedup": dedup, "files": files, "rules": rules, "where": list(config.where.items())}
    if config.contamination is not None:
        found["contamination"] = [sets_digest(config.contamination, base), _modules(overlap, contamination)]
    return digest(found)


_BEHIND_RULES = (
    response_rules,
    languages,
    texts,
    topics,
    classifier,
    pieces,
    template_marks,
    mentions,
    thinking,
    thinking_forms,
    second_turn,
)


def _substance(rule: Rule) -> list[str]:
    """Return the part of a built-in rule that a later version may change: its SQL, or the texts of its modules."""
    if rule.finds is None:
        return [rule.holds, rule.found]
    weights = [digest_file(file) for file in sorted(classifier.WEIGHTS.glob("*.json"))]
    return [*_modules(sys.modules[rule.finds.__module__], *_BEHIND_RULES), *weights]


def _modules(*modules: ModuleType) -> list[str]:
    return [digest_file(Path(str(module.__file__))) for module in modules]


def _plan(config: FilterConfig, base: Path, default_rules: Rules) -> FilterPlan:
    wanted = steps(config.rules, default_rules)
    taken = {*config.where, *OF_DUPLICATES}
    shared = next((step.reason for step in wanted if step.reason in taken), None)
    if shared is not None:
        raise FilterError(f"filter: {shared!r} would be the reason of two rules: give one another name")
    return FilterPlan(wanted, {step.name: rule_function(step, base) for step in wanted if step.rule is None}, config)


def _check_where(room: SqlSandbox, config: FilterConfig, schemas: Sequence[pa.Schema]) -> None:
    for reason, predicate in config.where.items():
        room.check(reason, predicate, schemas)


def _by_position(prompts: Path, folder: Path) -> Path:
    """Return the table itself if its rows lie by position, else a sorted copy in the folder."""
    if _is_ordered(prompts):
        return prompts
    ordered = folder / "ordered.parquet"
    with bounded_duckdb(folder) as connection:
        connection.read_parquet(str(prompts)).order("position").write_parquet(str(ordered), compression="zstd")
    return ordered


def _is_ordered(prompts: Path) -> bool:
    last: list[int] = []
    for batch in batches(prompts, ["position"]):
        positions = [*last, *batch.column(0).to_pylist()]
        if positions != sorted(positions):
            return False
        last = positions[-1:]
    return True


def _stage(prompts: Path, scratch: Path, schema: pa.Schema, plan: FilterPlan, room: SqlSandbox) -> int:
    """Write every row with its outcome and key to the scratch file, and count them."""
    rows = 0
    with parquet_writer(scratch, pa.schema([*META, *schema])) as writer:
        for batch in map(plan.widen, batches(prompts)):
            outcome = _judge(batch, plan, room)
            keys = _keys(batch, outcome) if plan.config.dedup.exact else [None] * len(outcome)
            writer.write_batch(staged(batch.cast(schema), rows, outcome, keys))
            rows += batch.num_rows
    return rows


def staged(batch: pa.RecordBatch, start: int, outcome: Outcome, keys: Sequence[str | None]) -> pa.RecordBatch:
    """Return a batch of prompts whose first has that number, as it is staged: with outcomes, and keys of duplicates."""
    numbers = pa.array(range(start, start + batch.num_rows), pa.int64())
    reasons = pa.array([broken and broken[0] for broken in outcome], pa.string())
    details = pa.array([broken and broken[1] for broken in outcome], pa.string())
    ids, nothing = batch.column("prompt_id"), pa.nulls(batch.num_rows, pa.string())
    meta = [numbers, pa.array(keys, pa.string()), ids, reasons, details, nothing]
    return pa.record_batch([*meta, *batch.columns], schema=pa.schema([*META, *batch.schema]))


def _judge(batch: pa.RecordBatch, plan: FilterPlan, room: SqlSandbox) -> Outcome:
    """Return the first rule that each row breaks: the steps in order, then the predicates."""
    outcome: Outcome = [None] * batch.num_rows
    for step, found in _details(batch, plan, room, outcome):
        _note(outcome, step.reason, enumerate(found))
    where = plan.config.where if batch.num_rows else {}
    for reason, details in room.broken(where, batch):
        _note(outcome, reason, enumerate(details))
    if plan.contamination is not None and batch.num_rows:
        _note(outcome, CONTAMINATED, enumerate(plan.contamination.found(batch)))
    if plan.published:
        known = [plan.published.get(key or "") for key in _keys(batch, outcome)]
        for reason, detail in DEALT_WITH.items():
            _note(outcome, reason, enumerate(detail if one == reason else None for one in known))
    return outcome


def broken_by_rule(config: FilterConfig, prompts: Path, base: Path, default_rules: Rules) -> dict[str, set[int]]:
    """Return what `rows_that_break` of the package says."""
    plan, found = _plan(config, base, default_rules), dict[str, set[int]]()
    with SqlSandbox() as room:
        for batch in map(plan.widen, batches(prompts)):
            positions: list[int] = batch.column("position").to_pylist()
            nothing: Outcome = [None] * batch.num_rows
            for step, details in _details(batch, plan, room, nothing):
                broken = (at for at, detail in zip(positions, details, strict=True) if detail is not None)
                found.setdefault(step.reason, set()).update(broken)
    return found


def _details(
    batch: pa.RecordBatch, plan: FilterPlan, room: SqlSandbox, outcome: Outcome
) -> Iterator[tuple[Step, list[str | None]]]:
    """For each step what it finds in each row; steps in Python are asked about the rows that still hold alone."""
    ours = iter(room.rules([step for step in plan.steps if step.rule and not step.rule.finds], batch))
    for step in plan.steps:
        if step.rule is None:
            yield step, _ask(plan.functions[step.name], step, batch, outcome)
        else:
            yield step, _find(step.rule, step.parameters, batch, outcome) if step.rule.finds else next(ours)


def _note(outcome: Outcome, reason: str, found: Iterable[tuple[int, str | None]]) -> None:
    for index, detail in found:
        if detail is not None and outcome[index] is None:
            outcome[index] = (reason, detail)


def _find(rule: Rule, parameters: dict[str, Any], batch: pa.RecordBatch, outcome: Outcome) -> list[str | None]:
    """Return a rule of ours that is written in Python, on the rows that still hold; it is handed its columns alone."""
    found: list[str | None] = [None] * batch.num_rows
    if rule.finds is None or not set(rule.needs) <= set(batch.schema.names):
        return found
    asked = [index for index, broken in enumerate(outcome) if broken is None]
    columns = batch.select(rule.needs).take(pa.array(asked, pa.int64())).columns
    for index, *values in zip(asked, *(column.to_pylist() for column in columns), strict=True):
        if None not in values:
            found[index] = rule.finds(*values, **parameters)
    return found


def _ask(function: Callable[..., Any], step: Step, batch: pa.RecordBatch, outcome: Outcome) -> list[str | None]:
    """Return a user's own rule on the rows that still hold, each handed over as a fresh dictionary."""
    asked = [index for index, broken in enumerate(outcome) if broken is None]
    found: list[str | None] = [None] * batch.num_rows
    for index, row in zip(asked, batch.take(pa.array(asked, pa.int64())).to_pylist(), strict=True):
        found[index] = verdict(function, row, **step.parameters)
    return found


def _reasons(published: Path) -> dict[str, str]:
    """Return why a prompt of each key is not taken again."""
    table = pq.read_table(published)
    return dict(zip(table.column("key").to_pylist(), table.column("reason").to_pylist(), strict=True))


def _keys(batch: pa.RecordBatch, outcome: Outcome) -> list[str | None]:
    messages = batch.column("messages").to_pylist()
    return [exact_key(turns) if broken is None else None for turns, broken in zip(messages, outcome, strict=True)]


def payloads(batch: pa.RecordBatch) -> list[str]:
    """Return the payload of each row of a batch that is rejected: all of its columns."""
    return [json_text(row)[0] for row in batch.to_pylist()]
