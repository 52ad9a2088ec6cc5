"""The code of the reports, on which their results depend."""

from functools import cache
from pathlib import Path

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.version import installed_version


@cache
def code_digest() -> str:
    """Return a digest of the package's version and of the modules of this folder."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return digest([installed_version(), [module.read_text(encoding="utf-8") for module in modules]])
