"""A user's turn behind an answer or a prompt is found in whatever form a chat template marks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.filter.rules.texts import template_leak
from kasasagi.tasks.text.leaks.answer_leaks import leak_in

SAID = "Bread needs flour, water and salt."
JA = "パンには粉と水が要ります。"
TURNS = [
    "\nuser\n{}\nassistant\n{}",
    "\nuser\n{}\nmodel\n{}",
    "\n\nuser\n\n{}\n\nassistant\n\n{}",
    "\n\n\nuser\n{}\n\nmodel\n{}",
    " USER: {} ASSISTANT: {}",
    "\nUSER: {}\nASSISTANT: {}",
    " User: {} Assistant: {}",
    "\n用户：{}\n助手：{}",
    "\nユーザー：{}\nアシスタント：{}",
    "\nユーザー\n{}\nアシスタント\n{}",
    "\n[USER]\n{}\n[ASSISTANT]\n{}",
    "\n[USER] {}\n[ASSISTANT] {}",
    "\n<user>\n{}\n</user>\n<assistant>\n{}",
    "\n<user>{}</user>\n<assistant>{}</assistant>",
    " GPT4 Correct User: {} GPT4 Correct Assistant: {}",
    "\nGPT4 Correct User: {}\nGPT4 Correct Assistant: {}",
]
TALKS = [
    ("Thanks!", "You are welcome."),
    ("And rye bread?", "The same way."),
    ("Ok", "Good."),
    ("Now for two\nplease", "Take twice as much."),
    ("ありがとう", "どういたしまして。"),
    ("谢谢", "不客气"),
]


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk[0])
@pytest.mark.parametrize("said", [SAID, JA])
def test_a_user_s_turn_and_the_reply_are_found_behind_an_answer(turn: str, talk: tuple[str, str], said: str) -> None:
    assert leak_in("How do I bake?", said + turn.format(*talk))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk[0])
def test_a_user_s_turn_and_the_reply_are_found_behind_a_prompt(turn: str, talk: tuple[str, str]) -> None:
    assert template_leak("How do I bake bread?" + turn.format(*talk))


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1).filter(str.strip))
def test_a_pair_of_bare_roles_is_found_whatever_the_user_says(said: str) -> None:
    if not said.strip().lower().startswith(("user", "human")):
        assert leak_in("How do I bake?", f"{SAID}\nuser\n{said}\nassistant\nIt is, in a way.")


@pytest.mark.parametrize(
    "content",
    [
        f"{SAID}\n<user>Thanks</user>",
        f"{SAID}\n<tool_response>\n4\n</tool_response>",
        'commentary to=functions.search json{"q": "bread"}',
        'assistantcommentary to=functions.search json{"q": "bread"}',
        "I will look. to=functions.search {}",
        "commentary to=browser.open {}",
        f"assistant\n{SAID}\n\nuser\nThanks\n\nassistant\nOk",
        f"admin\nuser\nguest\n\n{SAID}\nuser\nAnd for rye bread, please?",
    ],
)
def test_further_marks_of_a_turn_or_a_call_are_found(content: str) -> None:
    assert leak_in("How do I bake?", content)


@pytest.mark.parametrize(
    ("instruction", "content"),
    [
        ("What parts are there?", "Three parts:\n\nsystem\nSets it.\n\nuser\nAsks for it.\n\nassistant\nGives it."),
        ("What parts are there?", "There are parts.\n\nmodel\nHolds data.\n\nview\nShows it."),
        ("Name some words.", "Here they are.\nuser\nadmin\nassistant\nguest"),
        ("What is SSO?", "It has two sides. User: the person who signs in. Assistant: the one who helps."),
        ("What is SSO?", "It has two sides. User: A person who signs in. Assistant: A person who helps."),
        ("Tell a tale.", 'He wrote "Fine. User: Hi. Assistant: Hello." and left.'),
        ("博士の話を書いて。", "博士：見ろ。\n助手：すごい！\n博士：そうだ。"),
        ("How do I list people in XML?", "Like this.\n<users>\n<user>Ann</user>\n</users>"),
        ("How does a chatbot work?", f"{SAID} User: What is it? Assistant: It is noon."),
        ("What does goto do?", "Write goto=functions.first there, as in a macro."),
        ("Wer hilft?", "Zwei helfen. Der User: ein Mensch. Die Assistentin: ein Mensch."),
        ("Which model is larger?", "The first one.\nmodel: a\nsize: 4"),
    ],
)
def test_lists_definitions_and_quotes_of_roles_hold(instruction: str, content: str) -> None:
    assert leak_in(instruction, content) is None


@pytest.mark.parametrize(
    "behind",
    [
        "\nmodel\nWater it daily.",
        "\nuser\nAnd mint?",
        "\nmodel\nYes",
        "\n\nuser\nThanks",
        "\nAnswer: Water it.",
        "\nResponse: water",
        "\n**Answer:** Yes",
        "\n用户：谢谢",
        "<tool_call>",
        "\n<tool_call>\n{}",
        " <tool_response>4",
    ],
)
def test_what_runs_on_behind_a_prompt_is_found(behind: str) -> None:
    assert template_leak(f"How do I keep basil alive?{behind}")


@pytest.mark.parametrize("behind", ["\nmodel\n水をやる。", "\nuser\nミントは？", "\n回答：水。", "\n答え: 毎日です。"])
def test_what_runs_on_behind_a_japanese_prompt_is_found(behind: str) -> None:
    assert template_leak(f"バジルを枯らさない方法は？{behind}")


@pytest.mark.parametrize(
    "text",
    [
        "Which of these is a role?\nuser\nadmin\nmodel\nguest",
        "Write a question that leads to this answer.\nAnswer: The sun is warm.",
        "Write a riddle with this solution.\nAnswer: a piano",
        "Is a whale a fish?\nAnswer: yes or no",
        "What is the capital of Peru?\nAnswer: in one word.",
        "What is the capital of Peru?\nAnswer: [your answer]",
        "ペルーの首都は？\n回答：はいかいいえで。",
        "Extract the arguments.\n<tool_call>\n{}\n</tool_call>",
        "What is wrong with this call?\n<tool_call>{}</tool_call>",
        "Which model writes <tool_call>?",
        "Who wrote to=functions.search, and why?",
        "次の単語を訳してください。\nuser\nserver",
        "Summarise this exchange.\nUser: Hi.\nAssistant: Hello.",
        "What changed?\n* response: `reason` - the phrase",
    ],
)
def test_lists_forms_and_material_in_a_prompt_hold(text: str) -> None:
    assert template_leak(text) is None
