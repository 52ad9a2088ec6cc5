"""What filters make of the draws of a probe, each filter by itself."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kasasagi.flows.probe.figures import Shown, at_even_distances
from kasasagi.flows.probe.setup import Probe
from kasasagi.tasks.filter import FilterConfig, filter_prompts, rows_that_break
from kasasagi.tasks.synthesize.draws import columns_of, prompts_table
from kasasagi.tasks.synthesize.stage import DRAWS

SHOWN = 8
RULES: tuple[str, ...] = (
    "finished",
    "ends_as_a_sentence",
    "repetition",
    "template_leak",
    "answer_inside",
    "private_life",
    "missing_context",
    "odd_script",
    "stopped_by",
    "personal_data",
)
"""Rules that are measured beside those of the recipe."""


class Measures:
    """What filters make of the draws of a probe, each filter by itself."""

    def __init__(self, probe: Probe, folder: Path, draws: Sequence[Any]) -> None:
        self._probe = probe
        self._draws = draws
        self._folder = folder
        self._prompts = self._folder / "draws.parquet"
        schema = pa.schema([*DRAWS, *columns_of(probe.source)])
        pq.write_table(prompts_table(probe.source, pa.Table.from_pylist(list(draws), schema=schema)), self._prompts)

    def kept(self, config: FilterConfig, rules: Sequence[str | dict[str, Any]] | None = None) -> int:
        """Return how many draws a filter keeps."""
        defaults = self._probe.rules if rules is None else rules
        return filter_prompts(config, self._prompts, self._folder, self._probe.base, defaults).rows_out

    def share(self, dedup: dict[str, Any]) -> float:
        """Return the share of the texts that deduplication alone keeps."""
        kept = self.kept(FilterConfig.model_validate({"dedup": dedup}), ())
        return kept / len(self._draws) if self._draws else 0.0

    def passes(self) -> dict[str, float]:
        """Return the share of the texts that keep each rule."""
        count = len(self._draws)
        return {name: 1 - len(lost) / count if count else 0.0 for name, lost in self._broken_draws.items()}

    def shown(self) -> tuple[Shown, ...]:
        """Return some texts with the rules that they break."""
        return tuple(
            Shown(
                text=row["text"].strip(),
                finish_reason=row["finish_reason"],
                broken=tuple(name for name, positions in self._broken_draws.items() if row["draw"] in positions),
            )
            for row in at_even_distances(self._draws, SHOWN)
        )

    @cached_property
    def _broken_draws(self) -> dict[str, set[int]]:
        """The numbers of the draws that break each rule: the recipe's, and those that need no parameters."""
        config, defaults = self._probe.filter, self._probe.rules
        named = {rule if isinstance(rule, str) else next(iter(rule)) for rule in (*config.rules, *defaults)}
        rules = [*config.rules, *(rule for rule in RULES if rule not in named)]
        wider = FilterConfig(rules=rules)
        return rows_that_break(wider, self._prompts, self._probe.base, defaults)
