"""Definitions, lists of questions, plays and spoken-of elements look like what a chat template leaves, and hold."""

import pytest

from kasasagi.tasks.filter.rules.texts import template_leak
from kasasagi.tasks.text.leaks.answer_leaks import leak_in

DEFINITIONS = [
    "Response: the reaction of an organism.\n\nStimulus: what it reacts to.",
    "Response: what comes back.\nRequest: what is sent.",
    "AI: a program that infers.\nML: one that learns from data.\nDL: one with many layers.",
    "Bot: a program that acts.\n\nCrawler: a bot that reads pages.",
    "**Response:** the reaction.\n\n**Stimulus:** the cause.",
    "助手：教授を助ける人。\n\n教授：学部で教える人。",
]


@pytest.mark.parametrize("content", DEFINITIONS)
def test_a_list_of_definitions_holds_in_any_order(content: str) -> None:
    assert leak_in("Define the terms.", content) is None
    blocks = content.split("\n\n") if "\n\n" in content else content.split("\n")
    assert leak_in("Define the terms.", "\n\n".join(reversed(blocks))) is None


@pytest.mark.parametrize(
    "content",
    [
        "Response: Bread needs flour.\n\nNote: rye needs more water.",
        "Response: Bread needs flour.",
        "AI: Bread needs flour.\nTip: sift it.",
        "Assistant: Bread needs flour.\n\nIngredients: flour, water.",
        "アシスタント：粉が要ります。\n材料：粉、水。",
        "助手：粉が要ります。",
    ],
)
def test_a_role_in_front_of_an_answer_is_found(content: str) -> None:
    assert leak_in("How do I bake?", content)


@pytest.mark.parametrize(
    "content",
    [
        "Q: Who are you? A: A baker of forty years.\n\nQ: Why?\nA: Because I like it.",
        "Q: Who are you?\nA: A baker.\n\nQ: Why?\nA: I like it.",
        "**Q:** Who are you?\n**A:** A baker.\n\n**Q:** Why?\n**A:** I like it.",
        "Question 1: Who are you?\nAnswer: A baker.\n\nQuestion: Why?\nAnswer: I like it.",
        "Write it in pairs:\n\nQ: Who are you?\nA: A baker.\n\nQ: Why?\nA: I like it.",
        "質問：どなたですか？\n回答：パン屋です。\n\n質問：なぜですか？\n回答：好きだからです。",
        "次のように書きます：\n\n質問：どなたですか？\n回答：パン屋です。\n\n質問：なぜですか？\n回答：好きだからです。",
    ],
)
def test_an_answer_of_questions_and_answers_holds(content: str) -> None:
    assert leak_in("How do I write a Reddit AMA?", content) is None


@pytest.mark.parametrize(
    "content",
    [
        "A: Bread needs flour.\nQ: And salt?\nA: A little.",
        "Bread needs flour.\nQ: And salt?\nA: A little.",
        "粉が要ります。\n質問：塩は要りますか？\n回答：少し要ります。",
        "Q: And salt?\nA: A little.\n\nUser: And sugar?\nAssistant: None.",
    ],
)
def test_a_question_behind_an_answer_is_still_found(content: str) -> None:
    assert leak_in("How do I bake?", content)


@pytest.mark.parametrize(
    "content",
    [
        "<answer>42</answer> is how the task wants it.",
        "<response>ok</response>, as the page says, is enough.",
        "<output>4</output>は答えの書き方です。",
        "<final>4</final> means that it is over.",
    ],
)
def test_an_element_that_a_sentence_speaks_of_holds(content: str) -> None:
    assert leak_in("What do I write?", content) is None


@pytest.mark.parametrize(
    "content", ["<answer>It is 42.</answer>", "<answer>It is 42.</answer> It is so.", "<answer>42"]
)
def test_an_element_around_an_answer_is_found(content: str) -> None:
    assert leak_in("What is six times seven?", content)


@pytest.mark.parametrize(
    "text",
    [
        "Write a play between Human and Robot.\n\nHuman: hi\nRobot: hi",
        "Continue the scene.\n\nUser: Who is there?\nGuard: Nobody.",
        "Write a short sketch from this.\nHuman: hi\nRobot: hi",
        "次の脚本の続きを書いて。\n\nアシスタント：博士！\n博士：何だ。",
        "コントの続きを考えて。\nユーザー：あの、\n店員：はい。",
    ],
)
def test_a_prompt_with_the_beginning_of_a_play_holds(text: str) -> None:
    assert template_leak(text) is None


@pytest.mark.parametrize(
    "text", ["How do children play?\n\nAssistant: With toys.", "劇的な変化とは？\nアシスタント：大きな変化。"]
)
def test_a_prompt_that_runs_on_is_found_beside_such_words(text: str) -> None:
    assert template_leak(text)
