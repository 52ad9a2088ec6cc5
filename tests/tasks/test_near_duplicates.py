"""Near duplicates: which of two like prompts survives, what the detail says, and that none is missed or invented."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.tasks.filter import FilterConfig, FilterError, FilterResult, check_filter, filter_digest
from kasasagi.tasks.filter.duplicates import buckets
from kasasagi.tasks.filter.duplicates.minhash import Banding
from kasasagi.tasks.filter.duplicates.near import NearDuplicates
from tests.tasks.test_filter import held, kept, reasons, run, table

NEAR = {"near": 0.7, "shingle": 3}


def grams(text: str, size: int = 3) -> set[str]:
    return {text[start : start + size] for start in range(len(text) - size + 1)} or {text}


def jaccard(one: str, other: str, size: int = 3) -> float:
    return len(grams(one, size) & grams(other, size)) / len(grams(one, size) | grams(other, size))


def found(folder: Path, texts: list[str], threshold: float = 0.7, size: int = 3) -> dict[int, tuple[int, float]]:
    with NearDuplicates(len(texts), threshold, size, folder) as near:
        for start in range(0, len(texts), 7):
            near.add([[{"role": "user", "content": text}] for text in texts[start : start + 7]])
        return {row: tuple(one) for row, one in near.find().items()}


LIKE = [
    "Write a short story about a dragon who is afraid of the dark.",
    "Explain how a steam engine works to a child of ten years.",
    "Write a short story about a dragon who is afraid of the park.",
    "庭で育てやすい野菜を五つ教えてください。理由も添えてください。",
    "庭で育てやすい野菜を三つ教えてください。理由も添えてください。",
    "庭で遊べる子供向けの遊びを三つ考えてください。",
]


def test_the_earliest_survives_and_the_detail_names_it(tmp_path: Path) -> None:
    result = run(tmp_path, table(tmp_path, LIKE), dedup=NEAR)
    assert reasons(result) == {2: "near_duplicate", 4: "near_duplicate"}
    ids = pq.read_table(tmp_path / "in.parquet")["prompt_id"].to_pylist()
    details = [row["detail"] for row in held(result)]
    assert details == [
        f"similarity {jaccard(LIKE[later], LIKE[earlier]):.3f} to the prompt {ids[earlier]}"
        for earlier, later in ((0, 2), (3, 4))
    ]
    assert json.loads(held(result)[0]["payload"])["instruction"] == LIKE[2]
    assert (result.rows_in, result.rows_out, result.quarantined) == (6, 4, 2)
    assert kept(run(tmp_path, table(tmp_path, LIKE), dedup={"exact": True})) == LIKE


def test_rows_lie_by_position_and_every_reason_is_told(tmp_path: Path) -> None:
    texts = [LIKE[2], LIKE[0], "short", LIKE[0] + " ", LIKE[1]]
    prompts = table(tmp_path, texts, position=[3, 1, 0, 2, 4])
    result = run(tmp_path, prompts, rules=[{"min_chars": 8}], dedup=NEAR)
    assert kept(result) == [LIKE[0], LIKE[1]]
    assert [(row["position"], row["reason"]) for row in held(result)] == [
        (0, "min_chars"),
        (2, "duplicate"),
        (3, "near_duplicate"),
    ]
    assert sorted(path.name for path in result.prompts.parent.iterdir()) == ["prompts.parquet", "quarantine.parquet"]


def test_a_row_that_a_rule_sets_aside_makes_no_later_one_a_near_duplicate(tmp_path: Path) -> None:
    prompts = table(tmp_path, [LIKE[0], LIKE[2]], finish_reason=["length", "stop"])
    assert reasons(run(tmp_path, prompts, rules=["finished"], dedup=NEAR)) == {0: "finished"}


def test_of_a_chain_the_last_is_compared_with_the_survivor_alone(tmp_path: Path) -> None:
    first = "abcdefghijklmnopqrstuvwxyz0123456789"
    second, third = first[4:] + "ABCD", first[8:] + "ABCDEFGH"
    assert jaccard(first, second) >= 0.7
    assert jaccard(second, third) >= 0.7 > jaccard(first, third)
    assert found(tmp_path, [first, second, third]) == {1: (0, jaccard(first, second))}


def test_width_and_whitespace_make_no_difference_and_case_does(tmp_path: Path) -> None:
    texts = ["Ｈｅｌｌｏ\u3000ｗｏｒｌｄ", " Hello\nworld", "HELLO WORLD", "", " ", "a", "b"]
    result = run(tmp_path, table(tmp_path, texts), dedup={"exact": False, **NEAR})
    assert reasons(result) == {1: "near_duplicate", 4: "near_duplicate"}
    assert held(result)[0]["detail"].startswith("similarity 1.000 ")


def test_another_system_message_or_dialogue_is_another_prompt(tmp_path: Path) -> None:
    def turns(system: str, text: str) -> list[dict[str, str]]:
        return [{"role": "system", "content": system}, {"role": "user", "content": text}]

    messages = [turns("cat", LIKE[0]), turns("dog", LIKE[2]), turns("cat ", LIKE[2]), turns("cat", LIKE[2])[1:]]
    prompts = table(tmp_path, [turn[-1]["content"] for turn in messages], messages=messages)
    assert reasons(run(tmp_path, prompts, dedup={"exact": False, **NEAR})) == {2: "near_duplicate"}


@pytest.mark.parametrize("dedup", [{"near": 0.05}, {"near": 1.2}, {"near": "true"}, {"near": "0.7"}, {"shingle": 0}])
def test_a_threshold_is_a_share(dedup: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FilterConfig.model_validate({"dedup": dedup})


def test_the_reason_is_taken_and_the_digest_follows_the_threshold(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="near_duplicate"):
        FilterConfig(where={"near_duplicate": "true"})
    (tmp_path / "own_rules.py").write_text("def near_duplicate(row):\n    return True\n")
    with pytest.raises(FilterError, match="near_duplicate"):
        check_filter(FilterConfig(rules=["own_rules.near_duplicate"]), ["instruction"], tmp_path)
    dedups: list[Any] = [{}, {"near": 0.7}, {"near": 0.8}, {"near": 0.7, "shingle": 5}]
    assert len({filter_digest(FilterConfig(dedup=one), tmp_path) for one in dedups}) == len(dedups)


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.8, 0.9, 0.99, 1.0])
def test_a_banding_misses_one_pair_in_a_thousand_at_its_threshold(threshold: float) -> None:
    banding = Banding.for_threshold(threshold)
    assert banding.size <= 576
    assert (1 - threshold**banding.values) ** banding.bands <= 1e-3


def variations(count: int, seed: int) -> list[str]:
    """Texts in families of some likeness, English and Japanese, in a mixed order."""
    random_ = random.Random(seed)
    alphabet = "etaoinshrdlu 　のにはをたがでてとしれさあいうえか𠮷。"
    texts = []
    for _ in range(count // 6):
        parent = "".join(random_.choices(alphabet, k=random_.randint(5, 120)))
        for _ in range(6):
            letters = list(parent)
            for _ in range(random_.randint(0, 1 + len(letters) // 8)):
                letters[random_.randrange(len(letters))] = random_.choice(alphabet)
            texts.append("".join(letters).strip())
    random_.shuffle(texts)
    return texts


def check_against_all_pairs(folder: Path, texts: list[str], threshold: float, size: int, margin: float) -> int:
    """What is found is true, and no pair that is left is clearly more alike; counts those at the threshold."""
    from kasasagi.tasks.filter.duplicates.keys import fold

    near = found(folder, texts, threshold, size)
    folded = [fold(text) for text in texts]
    for row, (survivor, similarity) in near.items():
        assert survivor < row
        assert survivor not in near
        assert similarity == jaccard(folded[row], folded[survivor], size) >= threshold
    left = [row for row in range(len(texts)) if row not in near]
    missed = 0
    for place, row in enumerate(left):
        for earlier in left[:place]:
            alike = jaccard(folded[row], folded[earlier], size)
            assert alike < min(1.0, threshold + margin)
            missed += alike >= threshold
    return missed


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.sampled_from("abＡ 。\U00020bb7"), max_size=12), max_size=20),
    st.sampled_from([0.4, 0.7, 0.9, 1.0]),
    st.integers(1, 5),
)
def test_small_tables_agree_with_comparing_all_pairs(tmp_path: Path, texts: list[str], near: float, size: int) -> None:
    check_against_all_pairs(tmp_path, texts, near, size, 0.15)


@pytest.mark.parametrize("size", [3, 5])
def test_families_agree_with_comparing_all_pairs(tmp_path: Path, size: int) -> None:
    texts = variations(420, size)
    assert check_against_all_pairs(tmp_path, texts, 0.7, size, 0.1) <= 1


def test_the_finding_depends_on_nothing_but_the_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = variations(300, 1)
    once = found(tmp_path, texts)
    with NearDuplicates(len(texts), 0.7, 3, tmp_path) as near:
        near.add([[{"role": "user", "content": text}] for text in texts])
        assert {row: tuple(one) for row, one in near.find().items()} == once
    assert found(tmp_path, texts[:150]) == {row: one for row, one in once.items() if row < 150}
    monkeypatch.setattr(buckets, "_PAIRS_AT_ONCE", 5)
    assert found(tmp_path, texts) == once


def test_a_crowd_of_like_prompts_leaves_one(tmp_path: Path) -> None:
    texts = [f"What are the most popular places for visitors in the city number {number}?" for number in range(3000)]
    near = found(tmp_path, texts)
    assert set(near) == set(range(1, 3000))
    assert {survivor for survivor, _ in near.values()} == {0}


def test_long_texts_are_taken_in_slices(tmp_path: Path) -> None:
    alphabet = [chr(code) for code in range(0x3400, 0x4400)]
    one, other = ("".join(random.Random(seed).choices(alphabet, k=700_000)) for seed in range(2))
    assert found(tmp_path, [one, other, one + "!", "x"]).keys() == {2}


def test_an_empty_table_has_no_duplicates(tmp_path: Path) -> None:
    result: FilterResult = run(tmp_path, table(tmp_path, ["a"]), rules=[{"min_chars": 5}], dedup=NEAR)
    assert (result.rows_in, result.rows_out, result.quarantined) == (1, 0, 1)


def test_true_is_the_usual_threshold_and_false_is_none() -> None:
    assert FilterConfig.model_validate({"dedup": {"near": True}}).dedup.near == 0.7
    assert FilterConfig.model_validate({"dedup": {"near": False}}).dedup.near is None
