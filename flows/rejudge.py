"""`kasasagi rejudge`: what our judges say of a dataset that has responses and perhaps labels already."""

from typing import Any

from pydantic import Field

from blocks.models import Config
from blocks.workspace import Run
from flows.errors import UsageError
from flows.recipe import load_recipe
from flows.views.reading import fetch, reading
from tasks.reports.statistics import share

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
        """The audit in words."""
        if not self.labels:
            return ["The source has no labels to audit: its responses are rated and paired."]
        counts = f"{self.agrees:,} agree, {self.disagrees:,} disagree, {self.ties:,} ties, {self.unrated:,} unrated"
        said = [f"{self.labels:,} labels: {counts}."]
        if self.disagreement is not None:
            value, low, high = self.disagreement
            said.append(
                f"The judges disagree with {value:.1%} ({low:.1%} to {high:.1%}) of the labels that they decide."
            )
        return said


def check_rejudged(recipe: str, overrides: list[str]) -> None:
    """Raise UsageError where a recipe's source holds no responses, and RecipeError where it is at fault."""
    if not load_recipe(recipe, overrides).recipe.given:
        raise UsageError(
            f"the source of {recipe} names no responses: add source.responses, as "
            "{chosen: chosen, rejected: rejected}, or use kasasagi run"
        )


def audit_of(run: Run) -> Audit:
    """The audit of a run's labels."""
    with reading(run) as tables:
        counts = {row["verdict"]: row["rows"] for row in fetch(tables, _COUNTS)}
        widest = [row["prompt_id"] for row in fetch(tables, _WIDEST, [WIDEST])]
    return audit_from(counts, widest)


def audit_from(counts: dict[str, Any], widest: list[str]) -> Audit:
    """The audit, from the number of labels by verdict."""
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
