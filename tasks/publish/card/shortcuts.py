"""The card's section on shortcuts: how far form alone tells the chosen answers, and by what."""

from kasasagi.tasks.publish.card.markdown import table
from kasasagi.tasks.reports.shortcut import FEWEST, FormatBias, ShortcutAudit, TellingGram


def shortcut_section(found: ShortcutAudit | None) -> list[str]:
    """Return the section; nothing where no audit was made."""
    if found is None:
        return []
    telling = [_telling(one) for one in found.telling]
    header = ("characters that tell", "where", "in the chosen alone", "in the rejected alone")
    formats = [_format(one) for one in found.formats]
    format_header = ("format", "chosen has more", "95% interval", "pairs that differ", "mean, chosen", "mean, rejected")
    return [
        "## Shortcuts",
        _sentence(found),
        *([table(header, telling)] if telling else []),
        *([table(format_header, formats)] if formats else []),
    ]


def _sentence(found: ShortcutAudit) -> str:
    if found.auc is None:
        return f"{found.pairs:,} pairs are too few for the shortcut audit; it needs {FEWEST}."
    auc = found.auc
    sample = f" Audited: {found.pairs:,} of {found.of:,} pairs, the first by id." if found.pairs < found.of else ""
    return (
        "What form gives away, a model may learn in place of what the judge valued. From characters and formatting "
        f"alone, a classifier tells the chosen answer from the rejected one with an AUC of {auc.value:.2f} (95% "
        f"interval: {auc.low:.2f} to {auc.high:.2f}; 0.50 is chance), on prompts that it was not trained on.{sample}"
    )


def _telling(one: TellingGram) -> tuple[str, str, int, int]:
    where = "at the beginning" if one.begins else "at the end" if one.ends else "anywhere"
    return one.text, where, one.chosen_only, one.rejected_only


def _format(one: FormatBias) -> tuple[str, str, str, int, float, float]:
    more = one.more_in_chosen
    interval = f"{more.low:.0%} to {more.high:.0%}"
    return one.feature, f"{more.value:.0%}", interval, one.differ, round(one.chosen, 1), round(one.rejected, 1)
