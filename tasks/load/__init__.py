"""Prompts from data: a file, a folder saved by `datasets`, or a Hub id become a table of prompts and a quarantine."""

from pathlib import Path

from kasasagi.tasks.lazy_imports import lazily
from kasasagi.tasks.load.config import SOURCE, DatasetSource, LoadResult, ProvidedResponses, SourceError
from kasasagi.tasks.load.files.locate import source_digest

__all__ = [
    "SOURCE",
    "DatasetSource",
    "LoadResult",
    "ProvidedResponses",
    "SourceError",
    "check_source",
    "count_answered",
    "load_prompts",
    "load_provided",
    "source_columns",
    "source_digest",
]


def load_prompts(source: DatasetSource, base: Path, into: Path, limit: int | None = None) -> LoadResult:
    """Read a source's rows and write `prompts.parquet` and `quarantine.parquet` into a folder.

    base is the recipe's folder, which relative paths start from (then the current one); limit caps the rows read,
    beside the source's own. Each row read is in exactly one of the two files, both ordered by position. Memory does not
    grow with the rows (a .json file alone is held whole).

    Raises:
        SourceError: If the source cannot be read.
    """
    from kasasagi.tasks.load.job import load

    return load(source, base, into, limit)


def load_provided(source: DatasetSource, base: Path, into: Path, limit: int | None = None) -> Path:
    """Write the responses that a source's rows hold, or the answers that they end with, to `given.parquet` in a folder.

    Arguments and errors are those of `load_prompts`.
    """
    from kasasagi.tasks.load.provided import write_provided

    return write_provided(source, base, into, limit)


def count_answered(source: DatasetSource, base: Path, most: int) -> int:
    """Return how many of so many first rows end with an answer, which `source.last_answer` disposes of.

    Raises SourceError.
    """
    from kasasagi.tasks.load import provided

    return provided.count_answered(source, base, most)


def check_source(source: DatasetSource, base: Path) -> list[str] | None:
    """Return the column names as `source_columns` does, after checking that the mapped columns exist.

    A dataset on the Hub is not requested.

    Raises:
        SourceError: The source, a mapped column or a kept column is missing, or no column is mapped and the default
            ones do not exist.
    """
    from kasasagi.tasks.load.job import check

    return check(source, base)


def source_columns(source: DatasetSource, base: Path) -> list[str] | None:
    """Return the column names that a short look at a source finds; None for a Hub id, or where the look finds no row.

    Raises:
        SourceError: If the source is missing or is not what its format says.
    """
    from kasasagi.tasks.load.files.readers import peek_columns

    return peek_columns(source, base)


__getattr__ = lazily(__name__, load="task")
