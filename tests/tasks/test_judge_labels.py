"""Words behind a rating are read where they fit its number, and refused where they may mean another one."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.judge.methods import method_of
from kasasagi.tasks.judge.replies.lines import UnreadableReply
from kasasagi.tasks.judge.replies.rating_words import RatingScale, fits
from kasasagi.tasks.judge.replies.reader import read_ratings
from kasasagi.tasks.judge.replies.vocabulary import GRADED
from tests.tasks.test_judge_stage import config

CONTRADICTING = """
5 (Wrong)|5 (Bad)|5 (Useless)|5 (Harmful)|5 (Irrelevant)|5 (Severe Error)|5 - Fails to answer|1 (Great)|1 (good)
|1 (Correct)|1 (Flawless)|1 (Comprehensive Compliance)|2 (Very good)|3 (Excellent)|3 (Poor)|5（間違い）|5（良くない）
|5（質問に答えていない）|1（素晴らしい）|1（良い）|1 (lower is better)|5 (reversed scale)|4 - no, that is too high|5 bad
|2 - revised upward|4 (just an example)|2 (second place)|4（間違い）|4 (Error)|5 (not)|4 no|1 (not bad)
|5 (good?)
|5 (far from perfect)|5 (perfect nonsense)|5 - As correct as a stopped clock|5 (minor errors)|1 (mostly correct)
|5 - The answer is good for nothing at all|5（完璧とは言えない）|5（優れているとは言い難い）|1（誤りがない）
|2（問題なし）|5（すばらしいと自分で言っている）|5（正確さに欠ける）|4（もう少し低い）|5（評価不能）|1（一位）
|4（修正後）|1 (A+)|5 (F)|1 (no errors)|5 (as instructed)|4 (provisional)|4 (was five, now reduced)|5 (blorp)
"""
FITTING = """
5 Excellent|5, Excellent|5点／5点|4 points|1 (Not helpful)|2（一部誤りがある）|5<|im_end|>|5</s>|4 stars|5点満点中4点
|4 - The answer is correct but misses one point.|5 - The response explains photosynthesis clearly and accurately.
|4 (right, with a small slip)|1 (Very Poor)|3 (Average)|3 (Partially correct)|2 (Mostly incorrect)|4 (Mostly correct)
|4（正しいが、小さな誤りがある）|5（完璧）|4（良い）|3（普通）|2（不十分）|1（質問に答えていない）|1（まったく役に立たない）
|5（誤りがない）|5 (no errors)|2 (Needs improvement)|1 - Does not answer the question|3（説明が不十分）|5 素晴らしい
|4 - 正しいが、説明が不足している|5 - Accurate and complete|2 (major errors)|5（指示に従っている）
|1（指示に従っていない）"""
SINGLE_WORDS = [(word, band) for (_, band), words in GRADED.items() for word in " ".join(words.split()).split("|")]


def listed(text: str) -> list[str]:
    return text.strip().replace("<|im_end|>", "<im>").replace("\n|", "|").split("|")


@pytest.mark.parametrize("words", listed(CONTRADICTING))
def test_words_that_may_mean_another_rating_are_refused(words: str) -> None:
    with pytest.raises(UnreadableReply, match="unclear_rating"):
        read_ratings(f"Rationale: so so\nRating: {words}", 1)


@pytest.mark.parametrize("words", listed(FITTING))
def test_words_that_fit_the_rating_are_read(words: str) -> None:
    number = float(words.partition("中")[2][0] if "中" in words else words[0])
    words = words.replace("<im>", "<|im_end|>")
    assert [one.rating for one in read_ratings(f"Rationale: so so\nRating: {words}", 1)] == [number]


@given(st.sampled_from(SINGLE_WORDS), st.integers(1, 10), st.sampled_from([3, 5, 10]))
def test_a_graded_word_is_read_only_within_a_step_of_its_grades(
    word: tuple[str, tuple[float, float]], rating: int, highest: int
) -> None:
    scale, (label, (low, high)) = RatingScale(1, highest), word
    rating = min(rating, highest)
    if fits(label, Fraction(rating), scale, as_sentence=True):
        grade = 1 + 4 * (rating - 1) / (highest - 1)
        assert low - scale.step <= grade <= high + scale.step


@given(st.integers(1, 5), st.text(st.sampled_from("abcdefgnoty 正良不誤ない"), max_size=12))
def test_unknown_words_are_never_read_at_both_ends(rating: int, label: str) -> None:
    both = [fits(label, Fraction(end), RatingScale(1, 5), as_sentence=True) for end in (1, 5)]
    assert not all(both)


def test_a_scales_own_words_stand_for_their_number_alone() -> None:
    judge = config(method="rubric", rubric={"text": "Grade it.\n1: bronze\n- 2 - good\n3) gold", "highest": 3})
    method = method_of(judge)
    for words, rating in {"1 (Bronze)": 1, "2 good": 2, "3, gold": 3}.items():
        assert [one.rating for one in method.read(f"Rating: {words}", ["x"])] == [rating]
    for words in ("2 (gold)", "3 (good)", "1 (gold)", "2 (silver)"):
        with pytest.raises(UnreadableReply):
            method.read(f"Rating: {words}", ["x"])


@pytest.mark.parametrize(("words", "rating"), [("sure and wrong", 1), ("正しく、確かさの示し方も適切", 5)])
def test_an_aspects_own_words_stand_for_their_number_alone(words: str, rating: int) -> None:
    method = method_of(config(aspects=["honesty"]))
    assert [one.rating for one in method.read(f"Rating: {rating} ({words})", ["x"], "honesty")] == [rating]
    with pytest.raises(UnreadableReply):
        method.read(f"Rating: 3 ({words})", ["x"], "honesty")


def test_a_rating_of_another_scale_is_refused() -> None:
    for words in ("4 stars", "5点満点中4点", "4/5 points"):
        with pytest.raises(UnreadableReply, match="other_scale"):
            read_ratings(f"Rating: {words}", 1, scale=10)
