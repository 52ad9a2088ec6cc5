"""A format of a user's own: a function that makes a row of a pair."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from kasasagi.tasks.publish.config import PublishError
from kasasagi.tasks.publish.formats.base import Format, Row

LOADING = """\
from datasets import load_from_disk

dataset = load_from_disk("{folder}/dataset"){splits}"""


def own_format(name: str, make: Callable[[Row], Mapping[str, Any]]) -> Format:
    """Return a user's function of a pair as a format.

    Args:
        name: Its name.
        make: Returns one row of the dataset for a pair with its messages and all that is known of it.
    """
    return Format(
        name=name,
        consumer=f"what {name} is made for",
        loading=LOADING,
        convert=partial(_converted, name, make),
        columns={},
        verbatim=False,
    )


def _converted(name: str, make: Callable[[Row], Mapping[str, Any]], rows: pa.Table) -> pa.Table:
    try:
        return pa.Table.from_pylist([dict(make(row)) for row in rows.to_pylist()])
    except Exception as error:
        raise PublishError(
            f"the format {name} makes no row of a pair ({type(error).__name__}: {error}), so nothing is published: "
            "mend its function, which returns a mapping of texts, numbers and lists"
        ) from error
