"""The shortcut audit: what it finds was planted, and where nothing tells the texts apart it finds nothing."""

import hashlib
import random
from collections.abc import Callable

import numpy as np
import pytest

from kasasagi.tasks.reports.format_features import FEATURES, format_counts
from kasasagi.tasks.reports.ngrams import marked
from kasasagi.tasks.reports.shortcut import FEWEST, MOST, TextPair, auc_of, audit_shortcuts, fold_of

ENGLISH = [
    *("the", "river", "answers", "question", "quiet", "house", "and", "nobody", "walks", "there", "although", "winter"),
    *("near", "while", "lamps", "burn", "along", "many", "roads", "because", "people", "often", "letters", "gardens"),
]
JAPANESE = ["鳥は", "川を", "渡って", "静かな", "家に", "帰り", "冬の", "道を", "歩く", "人が", "手紙を", "読む。"]
Change = Callable[[str, random.Random], str]


def pairs_of(count: int, words: list[str] = ENGLISH, change: Change = lambda text, _: text) -> list[TextPair]:
    """Pairs of random texts, of which the chosen one is changed."""
    draw = random.Random(3)

    def text() -> str:
        return ("" if words is JAPANESE else " ").join(draw.choices(words, k=draw.randint(20, 60)))

    return [TextPair(change(text(), draw), text(), f"{number:032x}") for number in range(count)]


def begun(text: str, _: random.Random) -> str:
    return f"Certainly! {text}"


def dotted(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text))
    return f"{text[:place]}◆{text[place:]}"


def listed(text: str, _: random.Random) -> str:
    return "- " + text.replace(" and ", "\n- and ")


@pytest.mark.parametrize("words", [ENGLISH, JAPANESE], ids=["English", "Japanese"])
@pytest.mark.parametrize("change", [begun, dotted, listed])
def test_a_planted_marker_is_found(words: list[str], change: Change) -> None:
    found = audit_shortcuts(pairs_of(600, words, change))
    assert found.auc is not None
    assert found.auc.value >= 0.99
    assert found.auc.low > 0.98
    first = found.telling[0]
    assert {begun: "Certainly! ", dotted: "◆", listed: "- "}[change] in first.text
    assert (first.chosen_only, first.rejected_only) == (600, 0)
    assert first.begins == (change is not dotted)


@pytest.mark.parametrize("words", [ENGLISH, JAPANESE], ids=["English", "Japanese"])
def test_shuffled_labels_are_chance(words: list[str]) -> None:
    draw = random.Random(5)
    some = pairs_of(MOST, words, lambda text, draw: begun(text, draw) if draw.random() < 0.5 else text)
    shuffled = [one._replace(chosen=one.rejected, rejected=one.chosen) if draw.random() < 0.5 else one for one in some]
    found = audit_shortcuts(shuffled)
    assert found.auc is not None
    assert abs(found.auc.value - 0.5) <= 0.03
    assert found.auc.low < 0.5 < found.auc.high
    assert found.telling == ()


def test_a_marker_of_the_rejected_texts_is_found_too() -> None:
    found = audit_shortcuts([TextPair(b, a, name) for a, b, name in pairs_of(300, change=begun)])
    assert found.auc is not None
    assert found.auc.value >= 0.99
    assert (found.telling[0].chosen_only, found.telling[0].rejected_only) == (0, 300)


def test_length_alone_is_found_and_its_share_counted() -> None:
    found = audit_shortcuts(pairs_of(500, change=lambda text, _: f"{text} {text}"))
    assert found.auc is not None
    assert found.auc.value > 0.9
    length = found.formats[0]
    assert length.feature == "characters"
    assert length.chosen > 1.8 * length.rejected
    assert length.more_in_chosen.low > 0.8
    assert length.differ > 450


def test_the_order_of_the_pairs_changes_nothing() -> None:
    some = pairs_of(300, change=lambda text, draw: begun(text, draw) if draw.random() < 0.4 else text)
    assert audit_shortcuts(some) == audit_shortcuts(some[::-1]) == audit_shortcuts(random.Random(1).sample(some, 300))


def test_no_prompt_is_in_two_folds_and_the_folds_are_even() -> None:
    some = [one._replace(prompt_id=f"{number // 3:032x}") for number, one in enumerate(pairs_of(300))]
    folds = fold_of(some)
    assert len({(one.prompt_id, fold) for one, fold in zip(some, folds.tolist(), strict=True)}) == 100
    assert sorted(np.bincount(folds)) == [60] * 5


def test_what_a_prompt_has_in_both_of_its_pairs_is_not_learnt() -> None:
    """Three pairs of a prompt have a word of their own on one side: within a prompt it tells all, elsewhere nothing."""
    some = []
    for number, one in enumerate(pairs_of(600)):
        name = hashlib.sha256(str(number // 3).encode()).hexdigest()
        both = one.chosen, f"{one.rejected} {name[:12]}"
        some.append(TextPair(*(both if int(name, 16) % 2 else both[::-1]), name))
    found = audit_shortcuts(some)
    assert found.auc is not None
    assert 0.4 < found.auc.value < 0.6


def test_few_pairs_say_nothing() -> None:
    found = audit_shortcuts(pairs_of(FEWEST - 1, change=begun))
    assert (found.pairs, found.auc, found.telling) == (FEWEST - 1, None, ())
    assert found.formats
    assert audit_shortcuts([]).formats == ()
    assert audit_shortcuts(pairs_of(FEWEST, change=begun)).auc is not None


def test_many_pairs_are_a_sample() -> None:
    found = audit_shortcuts([one._replace(chosen="a", rejected="b") for one in pairs_of(MOST + 50)])
    assert (found.pairs, found.of) == (MOST, MOST + 50)


def test_equal_and_empty_texts_are_no_error() -> None:
    found = audit_shortcuts([TextPair("", "", f"{number:032x}") for number in range(60)])
    assert found.auc is not None
    assert found.auc.value == 0.5
    assert (found.telling, found.formats) == ((), ())


def test_the_end_of_a_long_text_is_read() -> None:
    found = audit_shortcuts(pairs_of(200, change=lambda text, _: f"{text * 20} Hope this helps"))
    assert any("Hope this helps" in one.text and one.ends for one in found.telling)
    assert len(marked("a" * 10_000)) < 3_000


def test_the_auc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    scores = np.random.default_rng(0).normal(size=200).round(1)
    positive = np.random.default_rng(1).random(200) < 0.4
    assert auc_of(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert auc_of(scores, np.ones(200, bool)) == 0.5


def test_formatting_is_counted() -> None:
    text = "# Title\n\n- **one**\n2. two 22!\n```\ncode\n```\n鳥 🎉\nReally?"
    assert dict(zip(FEATURES, format_counts([text])[0].tolist(), strict=True)) == {
        "characters": len(text),
        "lines": 9,
        "list items": 2,
        "headings": 1,
        "bold parts": 1,
        "code blocks": 1,
        "digits": 3,
        "exclamation marks": 1,
        "emoji": 1,
        "Japanese characters": 1,
        "blanks at the ends": 0,
        "question at the end": 1,
    }


def test_lists_in_japanese_and_blanks_at_the_ends_are_counted() -> None:
    text = "次の三つです。\n・春に咲く花\n・夏の海\n① 秋の山\n・中黒の\u3000例 \n"
    found = dict(zip(FEATURES, format_counts([text])[0].tolist(), strict=True))
    assert (found["list items"], found["blanks at the ends"]) == (4, 2)


def test_a_blank_at_the_end_is_named() -> None:
    found = audit_shortcuts(pairs_of(200, change=lambda text, _: f"{text} "))
    assert found.auc is not None
    assert found.auc.value >= 0.99
    assert [one.differ for one in found.formats if one.feature == "blanks at the ends"] == [200]
