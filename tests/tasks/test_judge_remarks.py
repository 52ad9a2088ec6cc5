"""A remark that may change what verdicts mean refuses the reply, wherever it stands; the judge's own scale does not."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.judge.replies.comparing import read_comparison
from kasasagi.tasks.judge.replies.lines import UnreadableReply
from kasasagi.tasks.judge.replies.reader import read_ratings

SECTIONS = "#### Output for Text 1\nRationale: good\nRating: 4\n#### Output for Text 2\nRationale: bad\nRating: 2"
JSON = '{"1": {"rating": 4, "rationale": "good"}, "2": {"rating": 2, "rationale": "bad"}}'
FORMS = (SECTIONS, JSON, f"```json\n{JSON}\n```", SECTIONS.replace("Rationale: good\n", ""))
TURNED = [
    "I use a scale where 1 is the best.",
    "Here 1 means excellent.",
    "I rated from best (1) to worst (5).",
    "Note: 5 = worst.",
    "In my ratings lower is better.",
    "My scale is reversed.",
    "ここでは1が最高です。",
    "数字は小さいほど良い。",
    "５は最低を表します。",
]
CHANGING = [
    *TURNED,
    "On a scale of 10:",
    "On a scale of 1 to 10:",
    "On a ten-point scale:",
    "10段階で評価します。",
    "10点満点です。",
    "以下は逆順です。",
    "文章1と文章2を入れ替えて示す。",
    "Text 1 and Text 2 are swapped below.",
    "On reflection swap the two:",
    "The ratings are given in reverse order.",
    "I inverted the numbers.",
    "**Both sections are switched.**",
]
OWN = [
    "On a scale of 1 to 5:",
    "I weigh each text on a scale from 1 to 5, as the instructions ask me to.",
    "Using the 1-5 scale, my ratings are below.",
    "On the five-point scale I get this.",
    "5段階で考えます。",
    "5点満点で考えました。",
    "1から5の尺度で示します。",
    "Here is what I think, on the given scale provided.",
    "1 is the worst, and 5 the best.",
    "Text 1 is the best of both.",
    "以下に評価を示します。",
]


@pytest.mark.parametrize("remark", CHANGING)
def test_a_remark_before_the_form_that_may_change_it_is_refused(remark: str) -> None:
    for form, gap in itertools.product(FORMS, ("\n", "\n\n")):
        with pytest.raises(UnreadableReply):
            read_ratings(remark + gap + form, 2)
    with pytest.raises(UnreadableReply):
        read_ratings(f"{remark}\nRationale: so so\nRating: 4", 1)


@pytest.mark.parametrize("remark", CHANGING)
def test_it_is_refused_behind_the_form_too(remark: str) -> None:
    for form in FORMS:
        with pytest.raises(UnreadableReply):
            read_ratings(f"{form}\n{remark}", 2)


@pytest.mark.parametrize("remark", OWN)
def test_the_judges_own_scale_may_be_repeated(remark: str) -> None:
    for form in FORMS:
        assert [verdict.rating for verdict in read_ratings(f"{remark}\n\n{form}", 2)] == [4, 2]


@pytest.mark.parametrize("remark", TURNED)
def test_a_rationale_that_turns_the_scale_is_refused(remark: str) -> None:
    for reply in (f"Rationale: {remark}\nRating: 1", f"{remark}\nRating: 1"):
        with pytest.raises(UnreadableReply):
            read_ratings(reply, 1)
    with pytest.raises(UnreadableReply):
        read_ratings(f'{{"rating": 1, "rationale": "{remark}"}}', 1)


@pytest.mark.parametrize(
    "words",
    [
        "The list is in reverse order.",
        "It explains how to invert a matrix.",
        "手順が逆である。",
        "It weighs the costs at scale.",
        "The two variables are swapped.",
        "Step 1 is the best of it.",
    ],
)
def test_a_rationale_may_speak_of_what_the_text_reverses(words: str) -> None:
    assert read_ratings(f"#### Output for Text 1\nRationale: {words}\nRating: 2", 1)[0].rating == 2
    assert read_comparison(f"Rationale: {words}\nBetter: Text 2")[1].rating == 1


@pytest.mark.parametrize(
    "remark", ["Text 1 and Text 2 are swapped below.", "I swap both texts.", "文章1と2を入れ替えた。"]
)
def test_a_comparison_of_swapped_texts_is_refused(remark: str) -> None:
    for form in ("Better: Text 1", "Rationale: good\nBetter: Text 1", '{"better": "1", "rationale": "good"}'):
        with pytest.raises(UnreadableReply):
            read_comparison(f"{remark}\n{form}")


@given(
    st.integers(2, 10),
    st.integers(2, 10),
    st.sampled_from(["a scale of 1 to {}", "a scale from 1 to {}", "a 1-{} scale"]),
)
def test_only_a_scale_with_the_asked_ends_is_the_judges_own(asked: int, named: int, words: str) -> None:
    reply = f"I use {words.format(named)}.\n#### Output for Text 1\nRationale: so so\nRating: 2"
    if named == asked:
        assert read_ratings(reply, 1, scale=asked)[0].rating == 2
    else:
        with pytest.raises(UnreadableReply):
            read_ratings(reply, 1, scale=asked)
