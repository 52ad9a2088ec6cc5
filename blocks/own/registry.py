"""Registries: what a recipe can name, ours by a name and a user's own by a dotted path."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from kasasagi.blocks.canonical import digest_file
from kasasagi.blocks.own.python import OwnPythonError, is_own, own_file, own_object, short_name
from kasasagi.blocks.suggestions import remedy

T = TypeVar("T")
OWN_PATTERN = r"^\w+([.:]\w+)+$"


@dataclass(frozen=True, eq=False)
class Registry(Generic[T]):
    """All things of one kind that a recipe can name; `Annotated[str, REGISTRY]` is the type of such a name.

    Attributes:
        kind: What they are, as errors say it: strategy, format.
        ours: The shipped ones by name; one as text is the place from which it is imported, "module:name".
        own: Makes one of the name and the function or class in a user's file; also as "module:name".
    """

    kind: str
    ours: Mapping[str, T | str]
    own: Callable[[str, Any], T] | str

    def find(self, name: str, base: Path) -> T:
        """Return the implementation with a name.

        Args:
            name: One of our names, or the dotted path of a user's own implementation.
            base: The recipe's folder.

        Raises:
            OwnPythonError: The user's implementation cannot be loaded.
        """
        if not is_own(name):
            return cast("T", _load(self.ours[name]))
        make: Callable[[str, Any], T] = _load(self.own)
        return make(short_name(name), own_object(name, base))

    def problems(self, names: Iterable[str], base: Path) -> list[str]:
        """Return a sentence for each name of a user's own that leads to nothing."""
        found: list[str] = []
        for name in filter(is_own, names):
            try:
                self.find(name, base)
            except (OwnPythonError, TypeError, ValueError) as error:
                found.append(str(error))
        return found

    def key_parts(self, names: Iterable[str], base: Path) -> list[str]:
        """Return the digests of the files of a user's own, for cache keys: a change in a file remakes rows."""
        return [digest_file(own_file(name, base)) for name in names if is_own(name)]

    def check(self, name: str) -> str:
        """Return a name that may be written in a recipe. Raises ValueError."""
        if is_own(name) or name in self.ours:
            return name
        raise ValueError(
            f"{name!r} is not a {self.kind}; "
            f"{remedy(name, self.ours, 'module.function of your own in a file next to the recipe')}"
        )

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check names when a recipe is read."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Let an editor offer our names, and take dotted paths."""
        return {"anyOf": [{"enum": list(self.ours)}, {"type": "string", "pattern": OWN_PATTERN}], "type": "string"}


def _load(value: Any) -> Any:
    return resolve_name(value) if isinstance(value, str) else value
