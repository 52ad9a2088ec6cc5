"""Packs: system prompts and beginnings that steer a model's inventions towards a field, as data by language."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.suggestions import remedy

FOLDER = Path(__file__).parent
WORDS = "words"
_MOST_SHOWN = 60


class SteeringError(ValueError):
    """A pack or a file of personas that cannot be used: the value, the reason and the remedy in one sentence."""


class Texts(Config):
    """What a pack has in one language."""

    system: tuple[str, ...] = Field((), description="System prompts of an assistant whom such a user would ask.")
    start: tuple[str, ...] = Field((), description="Beginnings of what such a user would write.")


class Pack(Config):
    """A pack by language."""

    en: Texts = Field(Texts(), description="The English texts.")
    ja: Texts = Field(Texts(), description="The Japanese texts.")

    def texts(self, language: str, form: Literal["system", "start"]) -> tuple[str, ...]:
        """Return the texts of one language and form."""
        of_language: Texts = getattr(self, language)
        found: tuple[str, ...] = getattr(of_language, form)
        return found


class Words(Config):
    """How a system prompt names the user's language and the person who asks."""

    assistant: str = Field(description="What the assistant is, where no other system prompt says it.")
    language: str = Field(description="A sentence by which the user writes in this language.")
    persona: str = Field(description="A sentence about the user, in which {persona} is the description.")


def pack_names() -> list[str]:
    """Return the packs that ship with kasasagi."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml") if file.stem != WORDS)


def read_pack(name: str, base: Path, languages: Sequence[str], form: Literal["system", "start"]) -> Pack:
    """Return a pack by its name, or from a YAML file relative to base; it must have texts of that form in all
    languages.

    Raises SteeringError.
    """
    place = f"source.packs: {name[:_MOST_SHOWN]!r}"
    own = name.endswith((".yaml", ".yml"))
    if not own and name not in pack_names():
        raise SteeringError(f"{place} is not a pack; {remedy(name, pack_names(), 'a .yaml file')}")
    pack = _read(place, base / Path(name).expanduser() if own else FOLDER / f"{name}.yaml")
    for language in languages:
        if not pack.texts(language, form):
            raise SteeringError(f"{place} has nothing under {language}.{form}: add some texts, or choose another way")
    return pack


def _read(place: str, file: Path) -> Pack:
    try:
        return Pack.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SteeringError(f"{place} cannot be read ({error}): write a YAML file with en and ja") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        what = f"{place}: {where}: {first['msg']}"
        raise SteeringError(f"{what}: write lists of texts under system and start of en and ja") from error


def wording(system: str | None, language: str | None, persona: str | None, spoken: str | None) -> str | None:
    """Return a system prompt with sentences that say which language is wanted and who asks (described in spoken)."""
    if language is None and persona is None:
        return system
    words = _words()
    named, described = words.get(language or "en", words["en"]), words.get(spoken or "en", words["en"])
    parts = [system or (named if language else described).assistant]
    if language is not None:
        parts.append(named.language)
    if persona is not None:
        parts.append(described.persona.replace("{persona}", persona.rstrip("。. ")))
    return "\n".join(parts)


@cache
def _words() -> dict[str, Words]:
    found = yaml.safe_load((FOLDER / f"{WORDS}.yaml").read_text(encoding="utf-8"))
    return {language: Words.model_validate(one) for language, one in found.items()}
