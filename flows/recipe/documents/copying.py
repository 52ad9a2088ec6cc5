"""Writing a recipe to start from: the commented template, or a copy of one that ships with kasasagi."""

import re
from pathlib import Path

from kasasagi.flows.errors import UsageError
from kasasagi.flows.recipe.documents.full_template import full_template
from kasasagi.flows.recipe.documents.template import TEMPLATE
from kasasagi.flows.recipe.errors import nearest, shown
from kasasagi.flows.recipe.loading import shipped_recipes


def write_recipe(path: Path, name: str | None, full: bool = False) -> list[Path]:
    """Write a recipe to start from, or a copy of a shipped recipe with the files that it reads from its folder.

    Args:
        path: The file to write.
        name: Name of the shipped recipe; None for the recipe to start from.
        full: Whether the recipe to start from lists every key, not only the essential ones.

    Returns:
        The files that were written, the recipe first. A file that is there with the same content is left as it is.

    Raises:
        UsageError: If no recipe of that name ships with kasasagi, or a file would be overwritten or cannot be
            written.
    """
    start = full_template() if full else TEMPLATE
    texts = {path: start.encode()} if name is None else _copies(path, name)
    for file, content in texts.items():
        if file.exists() and (file == path or not file.is_file() or file.read_bytes() != content):
            raise UsageError(f"{file} already exists; name another file" + (" in another folder" * (file != path)))
    written = [file for file in texts if not file.exists()]
    for file in written:
        _write(file, texts[file])
    return written


def _write(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror or error}); name another file") from error


def _copies(path: Path, name: str) -> dict[Path, bytes]:
    """Return what the copy of a shipped recipe consists of, by the file to write."""
    shipped = shipped_recipes()
    if name not in shipped:
        raise UsageError(f"--from: {shown(name)} is not a recipe that ships with kasasagi{nearest(name, [*shipped])}")
    source = shipped[name]
    text = source.read_text(encoding="utf-8")
    files = {path: _commands_for(text, name, path).encode()}
    for file in _read_by(source, text):
        files[path.parent / file.relative_to(source.parent)] = file.read_bytes()
    return files


def _commands_for(text: str, name: str, path: Path) -> str:
    """Return a recipe whose comments show commands for another file."""
    return re.sub(rf"(kasasagi (?:[a-z]+ )+)(?:recipes/)?{re.escape(name)}(?:\.yaml)?(?![\w.-])", rf"\g<1>{path}", text)


def _read_by(source: Path, text: str) -> list[Path]:
    """Return the files in a recipe's folder that its text names: data by their paths, Python by module.function."""
    others = (file for file in sorted(source.parent.rglob("*")) if file.is_file() and file.suffix != ".yaml")
    return [file for file in others if _is_named(file.relative_to(source.parent), text)]


def _is_named(file: Path, text: str) -> bool:
    if file.suffix == ".py":
        module = ".".join(file.with_suffix("").parts)
        return re.search(rf"(?<![\w.]){re.escape(module)}[.:]\w", text) is not None
    return file.as_posix() in text
