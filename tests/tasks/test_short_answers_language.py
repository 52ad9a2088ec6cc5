"""A short answer in another language than its prompt's is found; names, lists, code and quotes hold."""

import pytest

from kasasagi.tasks.text.answer_language import other_language

JA = "日本の首都はどこですか、教えてください。"
EN = "What is the capital of this land?"
EAST_ASIAN = [
    "日本的首都是东京。",
    "是的，没问题。",
    "这个问题很简单。",
    "我们应该说谢谢。",
    "没关系，请进。",
    "일본의 수도는 도쿄입니다.",
    "도쿄입니다.",
    "네, 맞습니다.",
    "도쿄는 일본의 수도예요!",
    "잘 모르겠어요.",
]


@pytest.mark.parametrize("content", EAST_ASIAN)
@pytest.mark.parametrize("instruction", [JA, EN])
def test_a_short_sentence_in_chinese_or_korean_is_found(instruction: str, content: str) -> None:
    assert other_language(instruction, content)


@pytest.mark.parametrize(
    "content",
    [
        "The capital is Tokyo, in the Kanto region.",
        "Sure, the capital of it is Tokyo.",
        "It is Tokyo: the largest city, by far.",
        "Yes, it is, as of today, Tokyo of course.",
    ],
)
def test_an_english_sentence_with_commas_is_found(content: str) -> None:
    assert other_language(JA, content)


@pytest.mark.parametrize(
    "content",
    [
        "서울특별시",
        "김치 찌개",
        "“감사합니다.”",
        "「도쿄입니다.」",
        "腾讯控股有限公司",
        "毛泽东",
        "中华人民共和国",
        "《红楼梦》",
        "『这个问题很简单。』",
        "東京都。",
        "日本国、東京。",
        "習近平、毛沢東、周恩来。",
        "Tokyo",
        "Python, Java, Go, Rust, Ruby, Swift",
        "Ada Lovelace, Alan Turing, Grace Hopper",
        "bread, milk, eggs, butter, salt, flour.",
        "Let It Be, The Long and Winding Road, Hey Jude.",
        "git commit -m 'fix: the thing, in the parser'",
        "“The capital is Tokyo, in the Kanto region.”",
        "for i in range, len: do it, if x then y",
    ],
)
def test_a_name_a_list_a_quote_and_code_hold(content: str) -> None:
    assert other_language(JA, content) is None


@pytest.mark.parametrize("instruction", ["「はい」を韓国語で言うと？", "中国語で返事をして。", "Say yes in Korean."])
@pytest.mark.parametrize("content", EAST_ASIAN)
def test_a_language_that_the_prompt_names_holds(instruction: str, content: str) -> None:
    assert other_language(instruction, content) is None
