"""`kasasagi dataset rejudge`: what our judges say of a dataset that has responses and perhaps labels already."""

import logging
from pathlib import Path
from typing import Any

from pydantic import Field

from kasasagi.blocks.hints import command
from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.flows.errors import UsageError
from kasasagi.flows.recipe.loading import check_recipe, load_recipe
from kasasagi.flows.views.table_reader import fetch, reading
from kasasagi.tasks.asking import read_rows
from kasasagi.tasks.audit import audit
from kasasagi.tasks.format_dpo.stage import FORMAT_DPO
from kasasagi.tasks.judge.stage import JUDGE
from kasasagi.tasks.judge.votes import candidates_by_prompt
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.reports.statistics import share
from kasasagi.tasks.tables import table

STAGE = "audit"
WIDEST = 3


class Audit(Config):
    """How far the judges agree with a dataset's own labels."""

    labels: int = Field(description="Labels: pairs of responses of which the dataset prefers one.")
    agrees: int = Field(description="Labels of which the judges, too, rate the preferred response higher.")
    disagrees: int = Field(description="Labels of which they rate the other one higher.")
    ties: int = Field(description="Labels on which they are undecided, or contradict themselves in the other order.")
    unrated: int = Field(description="Labels of which they did not rate both responses.")
    disagreement: tuple[float, float, float] | None = Field(
        description="Share that disagrees of what is decided, with its 95% interval (Wilson)."
    )
    widest: tuple[str, ...] = Field((), description="Prompts of the widest disagreements.")

    def sentences(self) -> list[str]:
        """Return the audit in words; none where there is no label."""
        if not self.labels:
            return []
        counts = f"{self.agrees:,} agree, {self.disagrees:,} disagree, {self.ties:,} ties, {self.unrated:,} unrated"
        lines = [f"{self.labels:,} labels: {counts}."]
        if self.disagreement is not None:
            value, low, high = self.disagreement
            lines.append(
                f"The judges disagree with {value:.1%} ({low:.1%} to {high:.1%}) of the labels that they decide."
            )
        return lines

    def markdown(self, run: Run) -> str:
        """Return the audit of a run for Prefect's page."""
        where = run.workspace.folder
        wide = [f"- `{command('trace', prompt_id[:8], run.id, workspace=where)}`" for prompt_id in self.widest]
        lines = self.sentences() or ["There was no label to audit."]
        lines += ["The widest disagreements:", "\n".join(wide)] if wide else []
        return "\n\n".join(lines)


def keep_audit(run: Run) -> None:
    """Audit the labels of chunks that are judged and give no pairs, since something stopped the run before.

    So its tables hold the audit of all that was judged; no run fails for want of it.
    """
    try:
        recipe = check_recipe(run.recipe(), Path(run.state().base))
        handles = [one.handle for one in run.handles()]
        done = {one.chunk for one in handles if one.stage == FORMAT_DPO.name}
        for one in handles if recipe.responses_provided else ():
            if one.stage == JUDGE.name and one.chunk not in done and "claims" in one.inputs:
                shards = {STAGE: _audit_chunk(run, recipe, one)}
                made = Handle(stage=STAGE, chunk=one.chunk, run=run.id, shards=shards, account=Account())
                run.add(made, reused=False)
    except Exception as error:
        logging.getLogger(__name__).warning("the labels could not be audited: %s", error)


def _audit_chunk(run: Run, recipe: Recipe, judged: Handle) -> Shard:
    """Return the audit of one judged chunk."""
    responses, source_labels = (read_rows(run, judged.inputs.get(name)) for name in ("responses", "claims"))
    ratings = read_rows(run, judged.shards.get("ratings"))
    rated = candidates_by_prompt(recipe.judging, recipe.pairs.aggregation(), responses, ratings)
    return run.workspace.shards.write(table(STAGE, audit(rated, source_labels)))


def check_rejudged(recipe: str, overrides: list[str], workspace: Path | None = None) -> None:
    """Raise UsageError where a recipe's source holds no responses, and RecipeError where it is invalid."""
    if not load_recipe(recipe, overrides).recipe.responses_provided:
        settings = [word for text in overrides for word in ("--set", text)]
        instead = command("run", recipe, *settings, workspace=workspace)
        raise UsageError(
            f"the source of {recipe} names no responses: add source.responses, as "
            f"{{chosen: chosen, rejected: rejected}}, or use {instead}"
        )


def audit_of(run: Run) -> Audit:
    """Return the audit of a run's labels."""
    with reading(run) as tables:
        counts = {row["verdict"]: row["rows"] for row in fetch(tables, _COUNTS)}
        widest = [row["prompt_id"] for row in fetch(tables, _WIDEST, [WIDEST])]
    return audit_from(counts, widest)


def audit_from(counts: dict[str, Any], widest: list[str]) -> Audit:
    """Return the audit, from the number of labels by verdict."""
    agrees, disagrees = counts.get("agrees", 0), counts.get("disagrees", 0)
    found = share(disagrees, agrees + disagrees)
    return Audit(
        labels=sum(counts.values()),
        agrees=agrees,
        disagrees=disagrees,
        ties=counts.get("tie", 0),
        unrated=counts.get("unrated", 0),
        disagreement=None if found is None else tuple(found),
        widest=tuple(widest),
    )


_COUNTS = "SELECT verdict, count(*) AS rows FROM audit GROUP BY verdict"
_WIDEST = """
SELECT prompt_id FROM audit WHERE verdict = 'disagrees'
ORDER BY rejected_rating - chosen_rating DESC, prompt_id LIMIT ?
"""
