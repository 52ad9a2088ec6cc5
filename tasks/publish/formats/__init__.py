"""The formats of a published dataset, one module each: a format turns rows with all columns into its own."""

from tasks.publish.formats.base import Format
from tasks.publish.formats.trl import TRL

FORMATS: dict[str, Format] = {TRL.name: TRL}

__all__ = ["FORMATS", "Format"]
