"""What the card says of test prompts that are like training prompts."""

from kasasagi.tasks.filter.duplicates.across import LIKENESS, SplitAudit


def split_sentence(found: SplitAudit | None) -> list[str]:
    """Return how many test prompts have a near duplicate in the training split; nothing where that was not audited."""
    if found is None or not found.tested:
        return []
    sample = f" (the first by id of {found.of:,})" if found.tested < found.of else ""
    near = f"{found.near:,} ({found.near / found.tested:.1%})"
    return [
        f"Of {found.tested:,} test prompts{sample}, {near} have a near duplicate "
        f"among the {found.train:,} training prompts: the same earlier turns, and at least {LIKENESS:.0%} of their "
        "distinct character trigrams in common."
    ]
