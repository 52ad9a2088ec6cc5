"""Near duplicates across splits: those that were planted are counted, and those within a split are not."""

import random
import tempfile
from collections.abc import Iterator

import pytest

from kasasagi.tasks.filter.duplicates import across as module
from kasasagi.tasks.filter.duplicates.across import AcrossSplits
from kasasagi.tasks.filter.duplicates.minhash import ngrams, similarity

WORDS = [
    *("川", "鳥", "夜", "静かな", "帰り道", "の", "を", "は", "歩く", "話す"),
    *("river", "night", "answer", "letter", "garden", "quiet", "winter"),
]


@pytest.fixture
def across() -> Iterator[AcrossSplits]:
    with tempfile.TemporaryFile() as file:
        yield AcrossSplits(file)


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def add(across: AcrossSplits, is_test: bool, *texts: str) -> None:
    names = [f"{place:04d}" for place in range(len(texts))]
    across.add(is_test, names, [turns(text) for text in texts])


def random_texts(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=40)) for _ in range(count)]


def test_planted_near_duplicates_are_counted_with_the_most_similar_first(across: AcrossSplits) -> None:
    train = random_texts(300, 1)
    add(across, False, *train)
    add(across, True, *random_texts(50, 2), *(f"{text} please" for text in train[:20]), train[21])
    found = across.find()
    assert (found.tested, found.of, found.train, found.near) == (71, 71, 300, 21)
    assert (found.examples[0].test, found.examples[0].train, found.examples[0].similarity) == (train[21], train[21], 1)
    assert len(found.examples) == module.EXAMPLES


def test_the_count_is_that_of_comparing_everything(across: AcrossSplits) -> None:
    draw = random.Random(5)
    train = random_texts(60, 3)
    test = [" ".join(word for word in text.split(" ") if draw.random() > 0.35) for text in train]
    add(across, False, *train)
    add(across, True, *test)
    alike = [any(similarity(ngrams(one, 3), ngrams(other, 3)) >= 0.7 for other in train) for one in test]
    assert 5 < sum(alike) < 55
    assert across.find().near == sum(alike)


def test_likeness_within_a_split_and_other_earlier_turns_count_for_nothing(across: AcrossSplits) -> None:
    text, other = random_texts(2, 4)
    add(across, True, text, f"{text} please")
    across.add(False, ["1", "2"], [turns("Hello.", "Hello!", text), turns(other)])
    assert across.find().near == 0
    across.add(True, ["9"], [turns("Hello.", "Hello!", f"{text} please")])
    assert across.find().near == 1


def test_a_prompt_with_several_pairs_counts_once(across: AcrossSplits) -> None:
    text = random_texts(1, 6)[0]
    across.add(True, ["1", "1"], [turns(text), turns(text)])
    across.add(True, ["1"], [turns(text)])
    across.add(False, ["2", "2"], [turns(text), turns(text)])
    found = across.find()
    assert (found.tested, found.train, found.near) == (1, 1, 1)


def test_many_test_prompts_are_a_sample(across: AcrossSplits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TESTED", 10)
    monkeypatch.setattr(module, "_TEXTS_AT_ONCE", 7)
    texts = random_texts(25, 7)
    add(across, True, *texts)
    add(across, False, *texts[5:20])
    found = across.find()
    assert (found.tested, found.of, found.near) == (10, 25, 5)


def test_an_empty_split_and_prompts_without_turns_are_no_error(across: AcrossSplits) -> None:
    assert across.find().near == 0
    across.add(False, ["1"], [[]])
    across.add(True, ["2"], [turns("")])
    assert across.find().tested == 1


def test_prompts_of_one_template_are_compared_by_their_signatures(
    across: AcrossSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each test prompt is compared on its text with one training prompt of a batch, however many are a little alike."""
    template = "Answer the following question of a customer politely, and in a single short paragraph: "
    train, test = ([template + text for text in random_texts(200, seed)] for seed in (3, 4))
    add(across, False, *train)
    add(across, True, *test, f"{train[7]}?")
    compared: list[float] = []

    def counted(one: set[str], other: set[str]) -> float:
        compared.append(similarity(one, other))
        return compared[-1]

    monkeypatch.setattr(module, "similarity", counted)
    found = across.find()
    assert found.examples[0].train == train[7]
    assert len(compared) <= 201
