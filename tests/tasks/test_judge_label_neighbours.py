"""Words behind a rating whose negation, adverb or doubt turns them round are never read at the other end."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.judge.replies.rating_words import RatingScale, fits
from kasasagi.tasks.judge.replies.vocabulary import GRADED

PRAISES = """
申し分ない|申し分のない回答|申し分がない|申し分なく正しい|非の打ち所がない|誤りは一つもない|誤りが何もない
|ミスが一つもない|欠点は何一つない
|誤りは一切見られない|間違いは少しもない|誤りがどこにもない|抜けが全くない|不備は見つからない|with no errors
|no mistakes
"""
NOT_GOOD = """
正しいふり|正しそうに見えるだけ|正しく見えるだけで内容がない|正しいつもりである|正しいらしい|優れているか疑わしい
|良い点が一つもない
|良いところがない|正しい点がほとんどない|良いのは文体だけ|形式だけ良い|正しいとは到底言えない|良いどころか悪い
|完璧に間違っている
|最高に悪い|見事な失敗|完璧な嘘|良くもない|いいかげんな回答|適切さを欠いている|有益な情報が一つもない
|よくもこんな回答を
|正しくなくはない|申し分ないとは言えない|申し分がある|not 正しい|この回答は正しいと思わない|正しいはずがない
|丁寧だが中身は空っぽ
|accurate only in part|correct only at the start|good only in part|helpful to few|helpful only to a few
|correct in parts
|correct in name only|correct for only one step|helpful to none|covers little|follows few instructions
|explains nothing
|great failure|excellent nonsense|fluent nonsense|right for the wrong reasons|clear errors|all but correct
|good at best
|correct sometimes|seemingly correct|right answer to another question|well short of the request|not without errors
|just good
"""
NOT_BAD = """
問題はひとつもない|問題もない|誤りがほとんどない|誤りはほぼない|誤りがなくはない|不適切な点はない|曖昧な点がない
|間違った所がない
|矛盾は一つもない|嘘がない|改善点がない|弱点なし|誤字脱字なし|これ以上の改善は不要|間違いとは言えない|良くない点はない
|この問題は解けているようである|lacks nothing|misses nothing|omits nothing important|not wrong|never fails
|no false claims
|hardly a mistake|no weakness|nothing missing|few errors
"""
READ = """
5（申し分ない）|5（誤りは一つもない）|4（問題はひとつもない）|4（誤りがほとんどない）|4 (few errors)
|4 (only minor errors)|1（いい加減）
|4（良いが、一部不足がある）|4 (good, but misses one point)|5 (covers the key points)|1 (clearly wrong)
|2（問題がある）|2（誤りは多い）
|3（正しいが説明不足）|5 (no errors)
"""
WORDS = {
    kind: [word.strip() for (one, _), words in GRADED.items() if one == kind for word in words.split("|")]
    for kind in ("praise", "flaw")
}
ENGLISH = {kind: [word for word in words if word.isascii()] for kind, words in WORDS.items()}
JAPANESE = {kind: [word for word in words if not word.isascii()] for kind, words in WORDS.items()}


def listed(text: str) -> list[str]:
    return text.strip().replace("\n|", "|").split("|")


def readable(label: str, rating: int) -> bool:
    return any(fits(label, Fraction(rating), RatingScale(1, 5), as_sentence=sentence) for sentence in (True, False))


@pytest.mark.parametrize("label", listed(PRAISES))
def test_a_denied_flaw_is_praise(label: str) -> None:
    assert readable(label, 5)
    assert not any(readable(label, rating) for rating in (1, 2, 3))


@pytest.mark.parametrize("label", listed(NOT_GOOD))
def test_praise_that_is_denied_or_doubted_is_not_read_at_the_top(label: str) -> None:
    assert not readable(label, 5)


@pytest.mark.parametrize("label", listed(NOT_BAD))
def test_denied_blame_is_not_read_at_the_bottom(label: str) -> None:
    assert not any(readable(label, rating) for rating in (1, 2))


@pytest.mark.parametrize("label", listed(READ))
def test_plain_neighbours_are_read(label: str) -> None:
    assert readable(label[2:].strip("（）()"), int(label[0]))


@given(
    st.sampled_from(JAPANESE["praise"]),
    st.sampled_from(["", "い", "な", "く"]),
    st.sampled_from(
        ["ふり", "点が一つもない", "だけ", "とは到底言えない", "つもり", "らしい", "わけがない", "箇所は何もない"]
    ),
)
def test_no_praise_is_read_at_the_top_before_a_doubt_or_denial(stem: str, ending: str, behind: str) -> None:
    assert not readable(stem + ending + behind, 5)


@given(
    st.sampled_from([word for word in JAPANESE["flaw"] if word[-1] in "がはも"]),
    st.sampled_from(["一つも", "ひとつも", "何も", "一切", "どこにも", "何一つ", "少しも", "ほとんど", "まったく"]),
    st.sampled_from(["ない", "なく、よい", "ありません", "見当たらない", "なし"]),
)
def test_no_flaw_that_is_absent_is_read_at_the_bottom(stem: str, adverb: str, end: str) -> None:
    assert not any(readable(stem + adverb + end, rating) for rating in (1, 2))


@given(
    st.sampled_from(ENGLISH["praise"]), st.sampled_from(["only in part", "to few", "at best", "failure", "of nothing"])
)
def test_no_english_praise_is_read_at_the_top_before_what_lessens_it(word: str, behind: str) -> None:
    assert not readable(f"{word} {behind}", 5)


@given(st.sampled_from(ENGLISH["flaw"]), st.sampled_from(["no {}", "not one {}", "without {}", "few {}", "free of {}"]))
def test_no_english_flaw_that_is_absent_is_read_at_the_bottom(word: str, form: str) -> None:
    assert not any(readable(form.format(word), rating) for rating in (1, 2))
