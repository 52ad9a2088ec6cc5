"""What a format is."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its name, who loads it, and how rows as `tasks.publish.rows` gives them become its rows.

    `convert` takes a table with all columns and gives one whose schema is the same for every table of a dataset.
    `loading` is Python that loads the dataset and hands it on; in it `{folder}` stands for the published folder.
    """

    name: str
    consumer: str
    loading: str
    convert: Callable[[pa.Table], pa.Table]
