"""The shortcut audit on the page: how far form alone tells the chosen answers, and by what."""

from typing import Any

from pydantic import ValidationError

from kasasagi.flows.views.language import say
from kasasagi.flows.views.report.facts import Facts
from kasasagi.flows.views.safe_text import one_line, plural
from kasasagi.tasks.publish.config import PublishConfig, PublishError
from kasasagi.tasks.publish.split_audit import split_audit
from kasasagi.tasks.reports.known_shortcuts import shortcuts_of
from kasasagi.tasks.reports.shortcut import FEWEST, FormatBias, ShortcutAudit, TellingGram
from kasasagi.tasks.reports.statistics import Interval

SHOWN_CHARS = 80
CLEAR = 0.9
"""From which AUC on the sentence is a warning: the default limit of the gate."""


def shortcuts(facts: Facts) -> dict[str, Any] | None:
    """Return what the page shows of the audit; None where there are no pairs."""
    found = shortcuts_of(facts.run, facts.connection) if facts.run.product() == "pairs" else None
    if found is None:
        return None
    return {
        "sentence": _sentence(found),
        "is_clear": found.auc is not None and found.auc.value > CLEAR,
        "sample": say(f"From a sample of {found.pairs:,} of {found.of:,}.") if found.pairs < found.of else "",
        "splits": _split_sentence(facts),
        "telling": [_telling(one) for one in found.telling],
        "formats": [_format(one) for one in found.formats],
    }


def _sentence(found: ShortcutAudit) -> str:
    if found.auc is None:
        return say(f"{plural(found.pairs, 'pair')} are too few to tell; {FEWEST} are needed.")
    auc = found.auc
    return say(
        f"From characters and formatting alone, a classifier tells the chosen answer from the rejected one with an AUC "
        f"of {auc.value:.2f} (95% interval: {auc.low:.2f} to {auc.high:.2f}; 0.50 is chance)."
    )


def _split_sentence(facts: Facts) -> str:
    """Return how many test prompts are like training prompts; nothing where the recipe makes no test split."""
    try:
        config = PublishConfig.model_validate(facts.run.recipe().get("publish") or {})
        found = split_audit(config, facts.run, facts.connection)
    except (ValidationError, PublishError):  # of another version, or rows that nobody can publish
        return ""
    if found is None or not found.tested:
        return ""
    near = f"{found.near:,} ({found.near / found.tested:.1%})"
    return say(
        f"Of {found.tested:,} test prompts, {near} have a near duplicate among the {found.train:,} training prompts."
    )


def _telling(one: TellingGram) -> dict[str, str]:
    where = say("at the beginning") if one.begins else say("at the end") if one.ends else ""
    return {
        "text": one_line(one.text, SHOWN_CHARS),
        "where": where,
        "chosen": f"{one.chosen_only:,}",
        "rejected": f"{one.rejected_only:,}",
    }


def _format(one: FormatBias) -> dict[str, Any]:
    return {
        "feature": one.feature,
        "chosen": f"{one.chosen:,.1f}",
        "rejected": f"{one.rejected:,.1f}",
        "width": round(100 * one.more_in_chosen.value, 1),
        "share": _share(one.more_in_chosen),
        "differ": f"{one.differ:,}",
    }


def _share(one: Interval) -> str:
    return f"{one.value:.0%} ({one.low:.0%} – {one.high:.0%})"
