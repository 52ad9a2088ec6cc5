"""Prompts kept or rejected: by our rules, the recipe's SQL predicates, the user's own functions, as duplicates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kasasagi.tasks.filter.config import DedupConfig, FilterConfig, FilterError, FilterResult

__all__ = [
    "DedupConfig",
    "FilterConfig",
    "FilterError",
    "FilterResult",
    "check_filter",
    "filter_digest",
    "filter_prompts",
    "rows_that_break",
]
Rules = Sequence[str | dict[str, Any]]


def filter_prompts(
    config: FilterConfig,
    prompts: Path,
    into: Path,
    base: Path,
    default_rules: Rules = (),
    published: Path | None = None,
) -> FilterResult:
    """Filter a table of prompts: write `prompts.parquet` (accepted) and `quarantine.parquet` into a folder.

    Each rejected row has the first rule that it broke: rules, then `where`, duplicates and near duplicates. Both tables
    are sorted by position. Memory does not grow with the rows, except for near duplicates: 0.5 to 1 kB for each row.

    Args:
        config: The filter's settings.
        prompts: The table of prompts.
        into: The folder.
        base: The recipe's folder, which contains own rules.
        default_rules: Rules before those of the recipe; the recipe changes one by naming it with other parameters, and
            drops it with `{name: false}`.
        published: A table of the keys of prompts that were published before and are rejected.

    Raises:
        FilterError: A rule or predicate cannot be run.
    """
    from kasasagi.tasks.filter.job import run_filter

    return run_filter(config, prompts, into, base, default_rules, published)


def check_filter(config: FilterConfig, columns: Sequence[str], base: Path, default_rules: Rules = ()) -> None:
    """Raise FilterError for a rule or predicate that could not run on a table with these columns."""
    from kasasagi.tasks.filter.job import check

    check(config, columns, base, default_rules)


def rows_that_break(config: FilterConfig, prompts: Path, base: Path, default_rules: Rules = ()) -> dict[str, set[int]]:
    """For each rule, by its reason, the positions of the prompts that break it, whatever other rules they break.

    Raises:
        FilterError: If a rule cannot be run.
    """
    from kasasagi.tasks.filter.job import broken_by_rule

    return broken_by_rule(config, prompts, base, default_rules)


def filter_digest(config: FilterConfig, base: Path, default_rules: Rules = ()) -> str:
    """Return the digest of all that decides the outcome beside the rows: the configuration and the user's
    rule files.
    """
    from kasasagi.tasks.filter.job import digest_of

    return digest_of(config, base, default_rules)
