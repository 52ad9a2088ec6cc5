"""People who ask, read from a file that the recipe names."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kasasagi.tasks.synthesize.cleaning import MARKS
from kasasagi.tasks.synthesize.config import PersonasUse
from kasasagi.tasks.synthesize.packs import SteeringError
from kasasagi.tasks.text.languages import script_of

_MARK = re.compile(MARKS)


@dataclass(frozen=True, slots=True)
class Persona:
    """One description of a person, and its language where it can be recognised."""

    text: str
    language: str | None


def read_personas(use: PersonasUse, base: Path, languages: Sequence[str]) -> list[Persona]:
    """Return the personas of a file, in its order; each of the languages must have one that fits.

    Raises SteeringError.
    """
    file = base / Path(use.path).expanduser()
    place = f"source.personas.path: {str(file)!r}"
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SteeringError(f"{place} cannot be read ({error}): name a jsonl or text file in UTF-8") from error
    rows = _from_jsonl if file.suffix == ".jsonl" else _from_lines
    personas = list(rows(use, text, place))
    if not personas:
        raise SteeringError(f"{place} contains no persona: write one per line")
    forged = next((mark for persona in personas if (mark := _MARK.search(persona.text))), None)
    if forged is not None:
        shown = forged.string[:60]
        raise SteeringError(f"{place}: {shown!r} holds {forged[0]!r}, which ends a turn in chat templates: remove it")
    for language in languages:
        if all(persona.language not in (language, None) for persona in personas):
            raise SteeringError(f"{place} has no persona in {language}: add some, or leave {language} out of languages")
    return personas


def _from_lines(use: PersonasUse, text: str, place: str) -> Iterator[Persona]:
    for line in text.splitlines():
        if line.strip():
            yield Persona(line.strip(), script_of(line))


def _from_jsonl(use: PersonasUse, text: str, place: str) -> Iterator[Persona]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            description, language = row[use.column], row.get(use.language_column)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SteeringError(
                f"{place}, line {number}, has no {use.column!r}: write an object with it, or name another column"
            ) from error
        if not isinstance(description, str) or not description.strip():
            raise SteeringError(f"{place}, line {number}: {use.column!r} is {description!r}: describe a person there")
        yield Persona(description.strip(), language if isinstance(language, str) else script_of(description))
