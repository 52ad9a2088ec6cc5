"""How often a run's judge agrees with a person, of the run's pairs on which the person has decided."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kasasagi.flows.labels.verdict_file import Label, Labels
from kasasagi.flows.views.safe_text import plural
from kasasagi.tasks.reports.statistics import share


@dataclass
class Agreement:
    """Counts over the pairs of a run that a person has seen."""

    agreed: int = 0
    decided: int = 0
    ties: int = 0
    skipped: int = 0
    lefts: int = 0
    by_margin: dict[float, tuple[int, int]] = field(default_factory=dict)

    @property
    def verdicts(self) -> int:
        """Pairs on which the person gave a verdict."""
        return self.decided + self.ties

    def count(self, label: Label, chosen: str, margin: float | None) -> None:
        """Count one pair, of which the judge says that chosen is better."""
        if label.choice == "skip":
            self.skipped += 1
        elif label.better is None:
            self.ties += 1
        else:
            same = label.better == chosen
            self.decided += 1
            self.agreed += same
            self.lefts += label.choice == "left"
            if margin is not None:
                hits, of = self.by_margin.get(margin, (0, 0))
                self.by_margin[margin] = (hits + same, of + 1)

    def sentences(self) -> list[str]:
        """Return what the counts say."""
        if not self.verdicts:
            return ["No verdicts yet."]
        lines = [f"{plural(self.verdicts, 'verdict')}, {plural(self.ties, 'tie')} among them."]
        if (found := share(self.agreed, self.decided)) is not None:
            lines.append(
                f"The judge agrees with you in {self.agreed} of {self.decided}: {found.value:.0%}, "
                f"95% interval {found.low:.0%} to {found.high:.0%}."
            )
            lines.append(f"You preferred the left text in {self.lefts} of {self.decided}.")
        if len(self.by_margin) > 1:
            shares = [f"{hits} of {of} at {margin:g}" for margin, (hits, of) in sorted(self.by_margin.items())]
            lines.append(f"By the pairs' margin: {', '.join(shares)}.")
        return lines


def agreement(labels: Labels, pairs: Iterable[tuple[str, str, float | None]]) -> Agreement:
    """Return the agreement over those pairs of (chosen, rejected, margin) that have a verdict."""
    counts = Agreement()
    for chosen, rejected, margin in pairs:
        label = labels.known.get(frozenset((chosen, rejected)))
        if label is not None:
            counts.count(label, chosen, margin)
    return counts
