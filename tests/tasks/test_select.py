"""Selection: quotas, conditions and likeness on filtered prompts, with a reason for each one that is left out."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from kasasagi.blocks.canonical import prompt_id
from kasasagi.tasks.filter.config import FilterResult
from kasasagi.tasks.select.config import SelectConfig
from kasasagi.tasks.select.job import Selection, select_prompts
from kasasagi.tasks.tags.labels import SCALES

LABELS = ["Math", "Math", "Planning", "Math", None, "Planning", "Math"]
QUALITY = ["poor", "excellent", "good", "good", "good", "very poor", "average"]


def ids(count: int) -> list[str]:
    return [prompt_id([{"role": "user", "content": f"Text {number}."}]) for number in range(count)]


def prompts(folder: Path, count: int, order: list[int] | None = None, **columns: list[Any]) -> Path:
    messages = [[{"role": "user", "content": f"Text {number}."}] for number in range(count)]
    data = {
        "prompt_id": ids(count),
        "messages": messages,
        "instruction": [turns[0]["content"] for turns in messages],
        "source": ["s"] * count,
        "position": list(range(count)),
        "finish_reason": pa.nulls(count, pa.string()),
        **columns,
    }
    table = pa.table(data)
    pq.write_table(table.take(order) if order else table, folder / "prompts.parquet")
    return folder / "prompts.parquet"


def tags(folder: Path, rows: list[dict[str, Any]], name: str = "tags") -> Path:
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return folder / f"{name}.parquet"


def selected(folder: Path, selection: Selection, source: Path, labels: Any = (), vectors: Any = ()) -> FilterResult:
    (folder / "out").mkdir(exist_ok=True)
    return select_prompts(selection, source, labels, vectors, folder / "out")


def kept(result: FilterResult) -> list[int]:
    return pq.read_table(result.prompts)["position"].to_pylist()


def reasons(result: FilterResult) -> dict[int, str]:
    return {row["position"]: row["reason"] for row in pq.read_table(result.quarantine).to_pylist()}


def labelled(folder: Path, **quotas: Any) -> FilterResult:
    known = [
        {"prompt_id": one, "category": label, "quality": quality}
        for one, label, quality in zip(ids(7), LABELS, QUALITY, strict=True)
    ]
    parts = [tags(folder, known[:4], "a"), tags(folder, known[4:], "b")]
    selection = Selection(quotas=SelectConfig.model_validate(quotas), scales=SCALES)
    return selected(folder, selection, prompts(folder, 7, [3, 1, 0, 6, 5, 4, 2]), parts)


@pytest.mark.parametrize(
    ("quotas", "stay"),
    [
        ({"per": "category", "limit": 2}, [0, 1, 2, 4, 5]),
        ({"per": "category", "limit": 1, "order_by": "quality desc"}, [1, 2, 4]),
        ({"per": ["category"], "limit": 1, "order_by": ["quality", "position desc"]}, [0, 4, 5]),
        ({"per": "quality", "limit": 1, "order_by": "position desc"}, [0, 1, 4, 5, 6]),
        ({"limit": 3, "order_by": "quality desc"}, [1, 2, 3]),
        ({"limit": 99}, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_of_each_kind_the_first_go_on_by_the_order_that_is_asked_for(
    tmp_path: Path, quotas: dict[str, Any], stay: list[int]
) -> None:
    result = labelled(tmp_path, **quotas)
    assert kept(result) == stay
    assert reasons(result) == {at: "quota" for at in range(7) if at not in stay}
    assert (result.rows_in, result.rows_out + result.quarantined) == (7, 7)


def test_the_reason_names_the_kind_and_the_order(tmp_path: Path) -> None:
    result = labelled(tmp_path, per=["category", "quality"], limit=1, order_by="prompt_id")
    assert reasons(result) == {}
    details = pq.read_table(labelled(tmp_path, per="category", limit=1, order_by="quality desc").quarantine)["detail"]
    assert details[0].as_py() == "category Math: 1 others come first, by quality desc"


def test_an_order_by_digest_is_one_and_the_same_every_time(tmp_path: Path) -> None:
    drawn = kept(labelled(tmp_path, limit=3, order_by="prompt_id"))
    assert drawn == sorted(sorted(range(7), key=lambda at: ids(7)[at])[:3])


@pytest.mark.parametrize("quotas", [{"per": "kind", "limit": 2}, {"per": ["kind", "other"], "limit": 1}, {"limit": 5}])
def test_without_an_order_the_earlier_wins_so_that_more_prompts_only_add(
    tmp_path: Path, quotas: dict[str, Any]
) -> None:
    kinds, others = list("abacabadcbaz"), list("xyyxxyxyyxzz")
    selection = Selection(quotas=SelectConfig.model_validate(quotas))
    before: list[int] = []
    for count in range(1, len(kinds) + 1):
        shuffled = sorted(range(count), key=lambda at: ids(count)[at])
        source = prompts(tmp_path, count, shuffled, kind=kinds[:count], other=others[:count])
        now = kept(selected(tmp_path, selection, source))
        assert now[: len(before)] == before
        before = now
    assert len(before) > 4


def test_prompts_that_were_set_aside_before_are_not_counted_again(tmp_path: Path) -> None:
    known = tags(tmp_path, [{"prompt_id": ids(3)[1], "category": "Math"}])
    result = selected(tmp_path, Selection(), prompts(tmp_path, 3), [known])
    assert (result.rows_in, kept(result)) == (1, [1])
    assert pq.read_table(result.prompts)["category"].to_pylist() == ["Math"]


def test_no_more_go_on_than_are_wanted_and_the_earlier_win(tmp_path: Path) -> None:
    result = selected(tmp_path, Selection(most=2), prompts(tmp_path, 4))
    assert (kept(result), reasons(result)) == ([0, 1], {2: "surplus", 3: "surplus"})


def compared(folder: Path, angles: list[float], **selection: Any) -> FilterResult:
    rows = [
        {"prompt_id": one, "vector": np.array([np.cos(angle), np.sin(angle)], "<f4").tobytes()}
        for one, angle in zip(ids(len(angles)), np.radians(angles), strict=True)
    ]
    vectors = tags(folder, rows[::-1], "vectors")
    return selected(folder, Selection(compared=True, **selection), prompts(folder, len(angles)), (), [vectors])


def test_duplicates_in_meaning_go_and_name_the_earlier_one(tmp_path: Path) -> None:
    result = compared(tmp_path, [0, 90, 1, 91, 45], duplicates=0.99)
    assert reasons(result) == {2: "semantic_duplicate", 3: "semantic_duplicate"}
    details = pq.read_table(result.quarantine)["detail"].to_pylist()
    assert details == [f"similarity 1.000 to the prompt {one}" for one in ids(2)]


def test_the_nearest_neighbour_is_a_column_that_conditions_and_orders_may_use(tmp_path: Path) -> None:
    result = compared(tmp_path, [0, 60, 61, 120], where={"crowded": "neighbor_distance > 0.01"})
    rows = pq.read_table(result.prompts).to_pylist()
    assert [row["neighbor_id"] for row in rows] == [ids(4)[1], ids(4)[2]]
    assert [row["neighbor_distance"] for row in rows] == pytest.approx([0.5, 1 - np.cos(np.radians(59))], abs=1e-4)
    assert reasons(result) == {1: "crowded", 2: "crowded"}
    quotas = SelectConfig(limit=1, order_by=("neighbor_distance desc",))
    assert kept(compared(tmp_path, [0, 60, 61, 120], quotas=quotas)) == [0]


def test_a_lone_prompt_has_no_neighbour(tmp_path: Path) -> None:
    (row,) = pq.read_table(compared(tmp_path, [0]).prompts).to_pylist()
    assert (row["neighbor_id"], row["neighbor_distance"]) == (None, None)


def test_vectors_of_two_models_are_not_compared(tmp_path: Path) -> None:
    rows = [{"prompt_id": one, "vector": b"\0\0\x80?" * (2 + at)} for at, one in enumerate(ids(2))]
    with pytest.raises(ValueError, match="2 and 3 dimensions"):
        selected(tmp_path, Selection(compared=True), prompts(tmp_path, 2), (), [tags(tmp_path, rows)])


def test_nothing_left_is_no_fault(tmp_path: Path) -> None:
    result = selected(tmp_path, Selection(quotas=SelectConfig(limit=1)), prompts(tmp_path, 0))
    assert (result.rows_in, result.rows_out, result.quarantined) == (0, 0, 0)


@pytest.mark.parametrize("entry", [{"limit": 0}, {"limit": 1, "by": "x"}, {}])
def test_a_quota_that_says_nothing_sensible_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SelectConfig.model_validate(entry)
