"""What each draw is steered by: a pure function of the round and the draw's number, so that every run draws alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import DIGEST_BYTES, digest
from kasasagi.tasks.converse.config import left_out
from kasasagi.tasks.synthesize.config import MagpieSource, PackUse, SystemPrompt
from kasasagi.tasks.synthesize.packs import Pack, read_pack, wording
from kasasagi.tasks.synthesize.personas import Persona, read_personas

_NUMBERS = 256**DIGEST_BYTES
Entry = str | SystemPrompt | PackUse | None


@dataclass(frozen=True, slots=True)
class SteeringParams:
    """How one draw is steered (system prompt, steering text, what to leave out of it) and sampled, and its columns."""

    system: str | None = None
    steer: str = ""
    left_out: str = ""
    sampling: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Steering:
    """A source with its packs and personas read."""

    source: MagpieSource
    packs: Mapping[str, Pack]
    personas: Sequence[Persona]

    @classmethod
    def read(cls, source: MagpieSource, base: Path) -> "Steering":
        """Read what a source is steered by; relative paths start from base. Raises SteeringError."""
        names = [one.name if isinstance(one, PackUse) else one for one in source.packs]
        languages = list(source.languages)
        packs = {name: read_pack(name, base, languages, source.packs_as) for name in names}
        personas = read_personas(source.personas, base, languages) if source.personas else []
        return cls(source, packs, personas)

    @cached_property
    def digest(self) -> str:
        """The digest of what was read."""
        packs = {name: pack.model_dump() for name, pack in self.packs.items()}
        return digest([packs, [[persona.text, persona.language] for persona in self.personas]])

    def of(self, draw: int) -> SteeringParams:
        """Return how a draw is steered."""
        language = self._language(draw)
        entry = self._entry(draw)
        pack, system, start = self._pack(draw, entry, language)
        persona = self._persona(draw, language)
        plain = None if pack else language  # a pack's texts are in the language that is wanted
        if persona is not None:
            system = wording(system, plain, persona.text, persona.language or language)
        else:
            system = wording(system, plain, None, None)
        cells = self.source.grid.cells() if self.source.grid else [{}]
        values = {"pack": pack, "wanted_language": language, "persona": persona.text if persona else None}
        return SteeringParams(
            system=system,
            steer=(self.source.steer or "") + start,
            left_out=left_out(self.source.steer, self.source.steer_kept),
            sampling=cells[draw % len(cells)],
            columns={name: value for name, value in values.items() if name in self.source.columns},
        )

    def _number(self, draw: int, *about: str) -> int:
        """Return a number below 2**128 that the round, the draw and what it is about decide."""
        return int(digest([self.source.round, draw, *about]), 16)

    def _language(self, draw: int) -> str | None:
        weights = self.source.languages
        return _drawn(list(weights), list(weights.values()), self._number(draw, "language")) if weights else None

    def _entry(self, draw: int) -> Entry:
        entries: list[Entry] = [*self.source.system_prompts, *map(_as_pack, self.source.packs)]
        weights = [1.0 if isinstance(one, str) or one is None else one.weight for one in entries]
        return _drawn(entries, weights, self._number(draw)) if entries else None

    def _pack(self, draw: int, entry: Entry, language: str | None) -> tuple[str | None, str | None, str]:
        """Return the pack's name, the system prompt and the beginning that an entry means for a draw."""
        if not isinstance(entry, PackUse):
            return None, entry.text if isinstance(entry, SystemPrompt) else entry, ""
        texts = self.packs[entry.name].texts(language or "en", self.source.packs_as)
        text = _drawn(texts, [1.0] * len(texts), self._number(draw, "pack"))
        return (entry.name, text, "") if self.source.packs_as == "system" else (entry.name, None, text)

    def _persona(self, draw: int, language: str | None) -> Persona | None:
        fitting = self._fitting.get(language, ())
        return fitting[self._number(draw, "persona") % len(fitting)] if fitting else None

    @cached_property
    def _fitting(self) -> Mapping[str | None, Sequence[Persona]]:
        """The personas that fit each language."""
        wanted: list[str | None] = [*self.source.languages] or [None]
        return {one: [p for p in self.personas if one is None or p.language in (one, None)] for one in wanted}


def _as_pack(use: str | PackUse) -> PackUse:
    return use if isinstance(use, PackUse) else PackUse(name=use)


def _drawn(entries: Sequence[Any], weights: Sequence[float], number: int) -> Any:
    """Return the entry that a number below 2**128 picks; equal weights by the remainder, others by their shares."""
    if len(set(weights)) == 1:
        return entries[number % len(entries)]
    place, total = number / _NUMBERS * sum(weights), 0.0
    for entry, weight in zip(entries, weights, strict=True):
        total += weight
        if place < total:
            return entry
    return entries[-1]
