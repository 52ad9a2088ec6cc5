"""The dataset card: what the dataset is, how to load it, and how it came about, by the run's own tables."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import yaml

from kasasagi.blocks.version import installed_version
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.filter.duplicates.across import SplitAudit
from kasasagi.tasks.gate.explain.words import NO_ROWS, SCOPES, judged_no_rows, plain_name
from kasasagi.tasks.judge.config import VERIFY
from kasasagi.tasks.mix.about import models_of
from kasasagi.tasks.publish.card.asked import asked_models
from kasasagi.tasks.publish.card.figures import CardFigures
from kasasagi.tasks.publish.card.introduction import cost, prompts_paired, to_look_at
from kasasagi.tasks.publish.card.judges import judges_section
from kasasagi.tasks.publish.card.markdown import cell, code_block, mask_secrets, table
from kasasagi.tasks.publish.card.parts import parts_section
from kasasagi.tasks.publish.card.provenance import from_hub, provenance
from kasasagi.tasks.publish.card.shortcuts import shortcut_section
from kasasagi.tasks.publish.card.splits import split_sentence
from kasasagi.tasks.publish.config import RESPONSE_FORMATS, PublishConfig, count_of
from kasasagi.tasks.publish.families import rewrites
from kasasagi.tasks.publish.formats.base import Format
from kasasagi.tasks.publish.writer import FormatWriter, shown, splits_of
from kasasagi.tasks.reports.shortcut import ShortcutAudit

PACKAGES = ("prefect", "duckdb", "great_expectations", "datasets", "pyarrow", "openai", "ctranslate2", "pydantic")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LARGER_SIZES = ((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))
ACCOUNT = "rows_in, rows_out, quarantined, calls_paid, calls_reused, prompt_tokens, completion_tokens, cost_usd"
UNFINISHED = """\
> [!WARNING]
> **This dataset is not finished.** {why}"""
BEFORE_THE_END = "It was published before its run had ended: rows are missing, and the gates did not evaluate all rows."


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card is written from."""

    config: PublishConfig
    run: Run
    connection: duckdb.DuckDBPyConnection
    figures: CardFigures
    kept: dict[str, str]
    partial: bool
    writers: list[FormatWriter]
    plots: Mapping[str, str] = field(default_factory=dict)
    shortcuts: ShortcutAudit | None = None
    splits: SplitAudit | None = None

    @property
    def warnings(self) -> list[str]:
        """That the dataset is not finished, and why, if so."""
        if not self.partial:
            return []
        state = self.run.state()
        error = " ".join((state.error or "").split()).partition("; see ")[0]
        stopped = f"It was published although its run was stopped: {error.rstrip('.')}."
        return [UNFINISHED.format(why=stopped if state.status == "stopped" and error else BEFORE_THE_END)]

    @property
    def forms(self) -> list[Format]:
        """The formats, in the recipe's order."""
        return [writer.form for writer in self.writers]

    @property
    def rows_of_formats(self) -> dict[str, int]:
        """The rows of each format, in the recipe's order."""
        return {writer.form.name: writer.counts.total() for writer in self.writers}

    @property
    def rows_of_other_formats(self) -> dict[str, int]:
        """The rows of each format that has not as many as the dataset has pairs, or responses."""
        return {name: rows for name, rows in self.rows_of_formats.items() if rows != self.figures.pairs}


def card(facts: CardFacts) -> str:
    """Return the card as Markdown with the Hub's YAML header."""
    name = cell(facts.run.state().name)
    parts = [
        _header(facts),
        f"# {name}",
        *facts.warnings,
        _introduction(facts),
        *how_to_load(facts),
        *columns(facts),
        *how_it_came_about(facts),
        *_pairs(facts.figures),
        *shortcut_section(facts.shortcuts),
        *judges_section(facts.connection, facts.run.recipe()),
        *(f"![{caption}]({name})" for name, caption in facts.plots.items()),
        *origin(facts),
    ]
    return "\n\n".join(parts) + "\n"


def how_it_came_about(facts: CardFacts) -> list[str]:
    """Return the models, the licences, the account of every stage and the gates, as sections of a card."""
    origins = parts_section(facts.connection, facts.config)
    origins = origins or provenance(facts.config, mask_secrets(facts.run.recipe()))
    return [*_models(facts), *origins, *_account(facts), *_gates(facts)]


def _introduction(facts: CardFacts) -> str:
    """Return what the dataset is and what to look at, in a sentence, and what its rows hold."""
    pairs, run, others = facts.figures.pairs, cell(facts.run.id), facts.rows_of_other_formats
    account = f"({cost(facts.connection)}){to_look_at(facts.connection, 'format_dpo', 'prompt', 'gave no pair')}"
    if not any(form.rows == "pairs" for form in facts.forms):
        made = f"from which kasasagi made {pairs:,} preference pairs in the run {run}"
        return f"{facts.writers[0].counts.total():,} rows with responses, {made} {account}"
    first = facts.forms[0].name
    rows = f"{count_of(others.pop(first), 'row')} in the format {first}, made of " if first in others else ""
    also = [f" In the format {name} they are {count_of(number, 'row')}." for name, number in others.items()]
    return (
        f"{rows}{pairs:,} preference pairs{'' if rows else ' for DPO'} from {prompts_paired(facts.connection, pairs)} "
        f"{account} Each{' pair' if rows else ''} has a prompt, a chosen and a rejected answer, "
        f"{_ground(facts)}.{''.join(also)} Made by kasasagi in the run {run}."
    )


def _ground(facts: CardFacts) -> str:
    """Return why one answer counts as the better one."""
    judge = facts.run.recipe().get("judge") or {}
    if facts.figures.margins and (judge.get("method") == VERIFY or judge.get("verify") is not None):
        ranked = "" if judge.get("method") == VERIFY else "; a judge ranked the correct answers"
        return f"and a checker's verdict on both (1 for correct, 0 for incorrect){ranked}"
    if facts.figures.margins:
        return "and a judge's ratings of both"
    return "the chosen one by the model that the recipe names as the stronger; judge ratings are ignored"


def _header(facts: CardFacts) -> str:
    return front_matter(facts, ["dpo", "preference", "synthetic", "kasasagi", *(form.name for form in facts.forms)])


def front_matter(facts: CardFacts, tags: list[str]) -> str:
    """Return the YAML in front of a card, from which the Hub and `datasets` know what the folder holds."""
    header = {
        "language": facts.figures.hub_languages(),
        "license": facts.config.license or "unknown",
        "pretty_name": facts.run.state().name,
        "size_categories": [_size(facts.writers[0].counts.total() if facts.writers else facts.figures.pairs)],
        "task_categories": ["text-generation"],
        "tags": tags,
        "configs": [{"config_name": "default", "data_files": _data_files(facts)}],
    }
    filled = {name: value for name, value in header.items() if value}
    return f"---\n{_yaml(filled)}---"


def _data_files(facts: CardFacts) -> list[dict[str, str]]:
    return [{"split": split, "path": f"{split}.parquet"} for split in splits_of(facts.config.split)]


def _yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=120))


def _size(pairs: int) -> str:
    return next((name for below, name in SIZES + LARGER_SIZES if pairs < below), "1B<n<10B")


def how_to_load(facts: CardFacts) -> list[str]:
    """Return how each format is loaded, as a section of a card."""
    parts = ["## How to load it", *from_hub(facts.config.hub)]
    for place, chosen in enumerate(facts.forms):
        folder = "path/to/this/folder" + (f"/{chosen.name}" if place else "")
        loading = chosen.loading.replace("{folder}", folder)
        loading = loading.replace("{splits}", "" if facts.config.split is None else '["train"]')
        parts += [f"For {chosen.consumer}:", code_block(loading, chosen.loading_language)]
    parts.append("The same rows are in `train.parquet` and, as one JSON object per line, in `train.jsonl`.")
    return [*parts, *_test_split(facts), *_left_out(facts)]


def _test_split(facts: CardFacts) -> list[str]:
    """Return what the test split is, and how large."""
    split = facts.config.split
    if split is None:
        return []
    rows = [(writer.form.name, writer.counts["train"], writer.counts["test"]) for writer in facts.writers]
    drawn, together = _drawn_by(facts)
    return [
        f"A share of {split.test:g} of the prompts is the split `test`, in files of that name, chosen by the "
        f"digest of each {drawn} and the seed {split.seed}: all rows of a prompt{together} are in one split, and stay "
        "there when rows are added.",
        table(("format", "train", "test"), rows),
        *split_sentence(facts.splits),
    ]


def _drawn_by(facts: CardFacts) -> tuple[str, str]:
    """Return what decides on which side a prompt is (`publish.families`), and what is there beside its own pairs."""
    altered = facts.config.alters_prompts
    drawn = "prompt without its system messages" if altered else "prompt"
    alike = " and of those that differ from it only in their system messages" if altered else ""
    if not rewrites(facts.run):
        return drawn, alike
    return f"original {drawn}", f"{alike}, with what was rewritten from it,"


def _left_out(facts: CardFacts) -> list[str]:
    return [
        f"Left out of the format {writer.form.name}, which cannot hold them: {cell(shown(writer.left_out))}."
        for writer in facts.writers
        if writer.left_out
    ]


def columns(facts: CardFacts) -> list[str]:
    """Return what the columns of each format are, as a section of a card."""
    parts = ["## Columns", _column_table(facts.forms[0].columns)]
    for form in facts.forms[1:]:
        parts += [f"In the format {form.name}:", _column_table(form.columns)]
    parts.append(_texts(facts))
    keeping = [form.name for form in facts.forms if form.keeps]
    if facts.kept and keeping:
        names = ", ".join(
            cell(ours) if ours == theirs else f"{cell(ours)} (there {cell(theirs)})"
            for theirs, ours in facts.kept.items()
        )
        where = "" if len(facts.forms) == 1 else f" in {' and '.join(keeping)}"
        parts.append(f"Columns kept from the source{where}: {names}.")
    return parts


def _texts(facts: CardFacts) -> str:
    """Return in which form the columns contain prompts and texts."""
    config = facts.config
    sent = "in the form that the chosen answer's model received" if config.prompt == "as_sent" else "as it was loaded"
    system = "left out" if config.system == "drop" else "kept"
    prompt = "" if config.formats == RESPONSE_FORMATS[:1] else f"The prompt is given {sent}. "
    but = ", except as the columns say" if any(not form.verbatim for form in facts.forms) else ""
    return f"{prompt}System messages are {system}. No text was altered{but}."


def _column_table(columns: Mapping[str, str]) -> str:
    """Return a table of columns; names and meanings are our own Markdown."""
    if not columns:
        return "The columns are those that the recipe's own function returns."
    lines = ["| column | what it is |", "| --- | --- |", *(f"| {name} | {what} |" for name, what in columns.items())]
    return "\n".join(lines)


def _models(facts: CardFacts) -> list[str]:
    rows = _by_stage(facts, asked_models(facts.connection, models_of(facts.connection, facts.run.recipe())))
    if not rows:
        return []
    return ["## Models", table(("stage", "model", "name", "calls", "sampling"), rows)]


def _account(facts: CardFacts) -> list[str]:
    stages = facts.connection.execute(f"SELECT stage, {ACCOUNT} FROM stages").fetchall()
    reasons = facts.connection.execute(
        "SELECT stage, reason, count(*) FROM quarantine GROUP BY ALL ORDER BY count(*) DESC, reason"
    ).fetchall()
    header = ("stage", "rows in", "rows out", "quarantined", "calls sent", "calls reused")
    parts = ["## Rows, calls and cost", table((*header, "prompt tokens", "completion tokens", "US dollars"), stages)]
    parts.append(
        "For each stage, rows in equal rows out plus quarantined rows. An earlier run paid for a reused call, so its "
        "tokens and dollars are not counted here."
    )
    if reasons:
        parts += ["Quarantined rows, and why:", table(("stage", "reason", "rows"), _by_stage(facts, reasons))]
    return parts


def _by_stage(facts: CardFacts, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows that begin with a stage, in the order in which stages ran."""
    ran = facts.connection.execute("SELECT stage FROM stages").fetchall()
    places = {stage: place for place, (stage,) in enumerate(ran)}
    return sorted(rows, key=lambda row: places.get(row[0], len(places)))


def _gates(facts: CardFacts) -> list[str]:
    gates = facts.connection.execute(
        "SELECT stage, scope, expectation, severity, success, observed, detail FROM gates "
        "ORDER BY scope DESC, expectation, observed, detail"
    ).fetchall()
    if not gates:
        return ["## Gates", "No gates were evaluated."]
    header = ("stage", "expectation", "observed", "limit", "passed", "scope", "severity")
    named = [
        (
            stage,
            plain_name(expectation, stage),
            observed,
            limit,
            NO_ROWS if judged_no_rows(passed, observed) else passed,
            SCOPES.get(scope, scope),
            severity,
        )
        for stage, scope, expectation, severity, passed, observed, limit in gates
    ]
    return ["## Gates", table(header, _by_stage(facts, named))]


def _pairs(figures: CardFigures) -> list[str]:
    models = [
        (name, one.chosen, one.rejected, one.mean_rating, one.mean_tokens)
        for name, one in sorted(figures.models.items())
    ]
    margins = [
        (f"{margin:g}", count, f"{count / figures.pairs:.1%}") for margin, count in sorted(figures.margins.items())
    ]
    several = figures.pairs - figures.turns[1]
    return [
        "## The pairs",
        table(("model", "chosen", "rejected", "mean rating", "mean tokens"), models),
        *([table(("margin", "pairs", "share"), margins)] if margins else []),
        f"The chosen answer is longer in {figures.chosen_longer / figures.pairs:.1%} of the pairs (in characters). "
        f"Pairs whose prompt has earlier turns: {several:,}; a system message: {figures.with_system:,}.",
    ]


def _without_workspaces(recipe: Any) -> Any:
    """Return a recipe without the folders of a mix's parts, which nobody but its maker has."""
    source = recipe.get("source")
    if not isinstance(source, dict) or not isinstance(parts := source.get("parts"), dict):
        return recipe
    shown = {name: {key: one[key] for key in one if key != "workspace"} for name, one in parts.items()}
    return {**recipe, "source": {**source, "parts": shown}}


def origin(facts: CardFacts) -> list[str]:
    """Return the recipe and the versions, as sections of a card."""
    versions = [("kasasagi", installed_version()), ("python", platform.python_version())]
    versions += [(package, installed_version(package)) for package in PACKAGES]
    return [
        "## Recipe",
        code_block(_yaml(_without_workspaces(mask_secrets(facts.run.recipe()))), "yaml"),
        "## Versions",
        ", ".join(f"{name} {cell(found)}" for name, found in versions) + ".",
    ]
