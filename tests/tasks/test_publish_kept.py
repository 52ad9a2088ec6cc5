"""Kept columns in a format of its own columns: none is lost, none takes another's place, and values stay with rows."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.publish.formats.kept_columns import kept_names, with_kept

NAMES = st.sampled_from(["ratings", "Ratings", "source_ratings", "topic", "source_source_ratings", "id", "prompt"])


@given(st.lists(NAMES, unique=True), st.sets(NAMES), st.lists(st.integers(0, 4)))
def test_every_kept_column_has_a_name_of_its_own_and_its_values(
    columns: list[str], own: set[str], places: list[int]
) -> None:
    names = kept_names(["prompt_id", *columns], {"prompt_id"}, own)
    assert list(names) == columns
    folded = [name.casefold() for name in (*own, *names.values())]
    assert len(set(map(str.casefold, names.values()))) == len(names)
    assert set(map(str.casefold, names.values())).isdisjoint(map(str.casefold, own)), folded
    rows = pa.table({name: [f"{name} {place}" for place in range(5)] for name in ["prompt_id", *columns]})
    made = with_kept(pa.table({"own column": places}), rows, names, places)
    for column, name in names.items():
        assert made[name].to_pylist() == [f"{column} {place}" for place in places]
