"""Thinking is split from the answer where a model marks it, and nowhere else."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.text.thoughts.thinking import split_thinking


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("answer", ("answer", None)),
        ("", ("", None)),
        ("<think>plan</think>answer", ("answer", "plan")),
        ("\n<think>\nplan\n</think>\n\nanswer\n", ("answer\n", "plan")),
        ("<think>\n\n</think>\n\nanswer", ("answer", None)),
        ("<think>a</think>\n<think>b</think>\nanswer", ("answer", "a\n\nb")),
        ("plan\n</think>\n\nanswer", ("answer", "plan")),
        ("plan</think>answer", ("answer", "plan")),
        ("</think>\n\nanswer", ("answer", None)),
        ("say `a\n`x` ```\n</think>\nanswer", ("answer", "say `a\n`x` ```")),
        ("it ends with `</think>`, I know\n</think>\nanswer", ("answer", "it ends with `</think>`, I know")),
        ("<think>cut off", ("", "cut off")),
        ("<think>", ("", None)),
        ("<think>a</think> then </think> stays", ("then </think> stays", "a")),
        ("日本語で考える。</think>\n答えです。", ("答えです。", "日本語で考える。")),
    ],
)
def test_thinking_is_split_off(content: str, wanted: tuple[str, str | None]) -> None:
    assert split_thinking(content, None) == wanted


@pytest.mark.parametrize(
    "content",
    [
        "Models write <think> and then </think> around it.",
        "Use `</think>` to end it.",
        "```xml\n<think>plan</think>\n```\nis the form.",
        "```\nx</think>y\n```",
        " leading blanks stay ",
        'End the reasoning with "</think>" and then answer.',
        "Use '</think>' here.",
        "推論は「</think>」で終わります。",
        "推論は『</think>』で終わります。",
        "Use ``</think>`` to end it.",
        "Put ```</think>``` last.",
        "It is:\n\n    </think>\n\nand so on.",
        "The end tag is:\n```\n</think>\n```\nPut it last.",
        "The closing tag is </think>, which Qwen writes.",
        "Qwen emits </think>; R1 does too.",
        "Strip everything up to </think> before you show the text.",
        "推論の終わりは</think>です。",
        "終了タグは </think> です。",
        "</think> closes the block.",
        "It ends with (</think>) or **</think>**.",
        "<think> and </think> are the marks of Qwen.",
        "<think> is the opening tag.\nMore text.",
        "<reasoning> is required here.\nMore text.",
        "<thinking> tags hold the plan.\n\nThat is all.",
        "Magistral ends with [/THINK].",
        "The marker is [BEGIN FINAL RESPONSE], which Apriel writes.",
        "<analysis>\n<item>a</item>\n</analysis>\n<summary>b</summary>",
        "<analysis>All of it.</analysis>",
        "Analysis of bread: it is good.\n\nI like it.",
        "The word assistantfinal ends the thinking of gpt-oss.",
        "assistantfinal is what gpt-oss writes before its answer.",
        "It writes `assistantfinal` there, and ends with assistantfinal.",
        "const assistantFinalMessage = 4;",
        "The field assistantfinal_text holds it.",
        "Write &lt;think&gt; and &lt;/think&gt; in HTML for the tags.",
        "Because [REASONING], we act.",
        "Dear all,\n[REASONING]\nBest, [NAME]",
        "<details>\n<summary>Why</summary>\nSo.\n</details>\nThat is it.",
    ],
)
def test_talk_about_the_tags_is_left_alone(content: str) -> None:
    assert split_thinking(content, None) == (content, None)


def test_a_reasoning_field_is_taken_as_it_is() -> None:
    assert split_thinking(" a", "plan\n") == (" a", "plan\n")
    assert split_thinking("<think>\nplan\n</think>\n\na", "plan") == ("a", "plan")
    assert split_thinking("<think>more</think>a", "plan") == ("a", "plan\n\nmore")


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_blank_reasoning_field_says_nothing(blank: str) -> None:
    assert split_thinking("<think>plan</think>answer", blank) == ("answer", "plan")


@given(st.text().filter(lambda text: "think>" not in text and text.strip()), st.text(min_size=1))
def test_both_forms_give_the_same_answer(thought: str, answer: str) -> None:
    whole = split_thinking(f"<think>\n{thought}\n</think>\n\n{answer}", None)
    lone = split_thinking(f"{thought}\n</think>\n\n{answer}", None)
    if "think>" not in answer:
        assert whole == lone == (answer.lstrip(), thought.strip())


THOUGHT, ANSWER = "First I add 2 and 2.", "It is 4.\n\nYou can count it."
FORMS_OF_MODELS = [
    f"[THINK]{THOUGHT}[/THINK]{ANSWER}",
    f"<Think>\n{THOUGHT}\n</Think>\n\n{ANSWER}",
    f"<THINK>{THOUGHT}</THINK>{ANSWER}",
    f"<thinking>{THOUGHT}</thinking>{ANSWER}",
    f"<thought>\n{THOUGHT}\n</thought>\n{ANSWER}",
    f"<thinking>{THOUGHT}</thinking>\n<output>\n{ANSWER}\n</output>",
    f"<think>\n{THOUGHT}\n</think>\n<answer>\n{ANSWER}\n</answer>",
    f"<think>\n{THOUGHT}\n</think>\n\n<response>\n{ANSWER}\n</response>\n",
    f"<reasoning>{THOUGHT}</reasoning>{ANSWER}",
    f"<seed:think>{THOUGHT}</seed:think>{ANSWER}",
    f"<mm:think>{THOUGHT}</mm:think>{ANSWER}",
    f"<longcat_think>\n{THOUGHT}\n</longcat_think>\n{ANSWER}",
    f"<|START_THINKING|>{THOUGHT}<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
    f"◁think▷{THOUGHT}◁/think▷{ANSWER}",
    f"<|channel>thought\n{THOUGHT}\n<channel|>{ANSWER}",
    f"<|begin_of_thought|>\n{THOUGHT}\n<|end_of_thought|>\n<|begin_of_solution|>\n{ANSWER}\n<|end_of_solution|>",
    f"<|inner_prefix|>{THOUGHT}<|inner_suffix|>{ANSWER}",
    f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
    f"<|channel|>analysis<|message|>{THOUGHT}<|channel|>final<|message|>{ANSWER}",
    f"analysis{THOUGHT}assistantfinal{ANSWER}",
    f"Here is my thought process:\n\n{THOUGHT}\n\nHere is my response:\n\n{ANSWER}",
    f"{THOUGHT}[/THINK]{ANSWER}",
    f"{THOUGHT}</seed:think>{ANSWER}",
    f"{THOUGHT}\n</thinking>\n{ANSWER}",
    f"{THOUGHT}<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
    f"Here are my reasoning steps:\n{THOUGHT}\n[BEGIN FINAL RESPONSE]\n{ANSWER}\n[END FINAL RESPONSE]",
    f"{THOUGHT}\n[BEGIN FINAL RESPONSE]\n{ANSWER}\n[END FINAL RESPONSE]\n<|end|>",
    f"<think_fast>{THOUGHT}</think_fast>{ANSWER}",
    f"{THOUGHT}\n</think_faster>\n\n{ANSWER}",
    f"<ifm|think>{THOUGHT}</ifm|think>{ANSWER}",
    f"<|plamo:begin_think:plamo|>{THOUGHT}<|plamo:end_think:plamo|>\n{ANSWER}",
    f"{THOUGHT}<｜end▁of▁thinking｜>{ANSWER}",
    f"<scratchpad>\n{THOUGHT}\n</scratchpad>\n{ANSWER}",
    f"<antThinking>{THOUGHT}</antThinking>\n{ANSWER}",
    f"<analysis>\n{THOUGHT}\n</analysis>\n<final_answer>\n{ANSWER}\n</final_answer>",
    f"<reason>{THOUGHT}</reason>{ANSWER}",
    f"[THINKING]\n{THOUGHT}\n[/THINKING]\n{ANSWER}",
    f"<seed:cot_budget_reflect>{THOUGHT}</seed:cot_budget_reflect>\n</seed:think>\n{ANSWER}",
    f"<think>{THOUGHT}</think><final>{ANSWER}</final>",
    f"analysis\n{THOUGHT}\nassistantfinal\n{ANSWER}",
    f"analysis {THOUGHT} assistantfinal {ANSWER}",
    f"commentary\n\n{THOUGHT}assistantfinal{ANSWER}",
    f"assistantanalysis{THOUGHT}assistantfinal{ANSWER}",
    f"{THOUGHT}assistantfinal{ANSWER}",
    f"{THOUGHT}\nassistantfinal\n{ANSWER}",
    f'<details type="reasoning" done="true" duration="4">\n{THOUGHT}\n</details>\n{ANSWER}',
    f"&lt;think&gt;\n{THOUGHT}\n&lt;/think&gt;\n\n{ANSWER}",
    f"{THOUGHT}\n&lt;/think&gt;\n\n{ANSWER}",
    f"&lt;thinking&gt;{THOUGHT}&lt;/thinking&gt;\n{ANSWER}",
    f"[REASONING]{THOUGHT}[/REASONING]{ANSWER}",
    f"[REASONING]\n{THOUGHT}\n[/REASONING]\n\n{ANSWER}",
    f"{THOUGHT}\n[/REASONING]\n{ANSWER}",
    f"[Thought]\n{THOUGHT}\n[/Thought]\n{ANSWER}",
]


@pytest.mark.parametrize("reply", FORMS_OF_MODELS)
def test_every_form_of_a_real_model_is_split_off(reply: str) -> None:
    assert split_thinking(reply, None) == (ANSWER, THOUGHT)
    assert split_thinking(reply, THOUGHT) == (ANSWER, THOUGHT)


@pytest.mark.parametrize("reply", [form.rpartition(ANSWER)[0] + ANSWER for form in FORMS_OF_MODELS[:21]])
def test_a_text_that_quotes_a_form_is_left_alone(reply: str) -> None:
    for text in (f"The model writes `{reply}`.", f"```\n{reply}\n```\nis what it writes.", f"For example: {reply}"):
        if "\n" not in reply or not text.startswith("The model"):
            assert split_thinking(text, None) == (text, None)


@given(st.sampled_from(["", " ", "\n", "\n\n"]), st.sampled_from(["", " ", "\n", "\n\n"]))
def test_blanks_around_the_channels_of_harmony_make_no_difference(before: str, behind: str) -> None:
    answer = split_thinking(f"analysis{before}{THOUGHT}{behind}assistantfinal{behind}{ANSWER}", None)
    assert answer == (ANSWER, THOUGHT)
    assert split_thinking(f"assistantfinal{behind}{ANSWER}", None) == (ANSWER, None)


def test_an_answer_in_the_final_channel_alone_has_no_thinking() -> None:
    assert split_thinking(f"<|channel|>final<|message|>{ANSWER}", None) == (ANSWER, None)
    assert split_thinking(f"<|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>", None) == (ANSWER, None)
    assert split_thinking(f"<final_answer>\n{ANSWER}\n</final_answer>", None) == (ANSWER, None)


QUOTES = ["「{}」", "『{}』", "“{}”", '"{}"', "'{}'", "`{}`", "``{}``", "```{}```", "({})"]
LONE_ENDS = ["</think>", "[/THINK]", "</seed:think>", "<|END_THINKING|>", "◁/think▷", "</think_fast>"]


@given(st.sampled_from(QUOTES), st.sampled_from(LONE_ENDS), st.sampled_from(["It ends with ", "終わりは"]))
def test_a_quoted_end_is_text_and_a_bare_one_no_text(quote: str, mark: str, words: str) -> None:
    quoted = f"{words}{quote.format(mark)} there.\nMore of it."
    assert split_thinking(quoted, None) == (quoted, None)
    assert split_thinking(f"{quoted}\n{mark}\n{ANSWER}", None) == (ANSWER, quoted)


@pytest.mark.parametrize(
    "text", ["analysis of variance is a test.", "Here is my thought process: I count.", "<answer>4</answer>"]
)
def test_plain_words_are_no_form(text: str) -> None:
    assert split_thinking(text, None) == (text, None)


@pytest.mark.parametrize("junk", ["<think>", "<think></think>", "`</think>`", "`", "``` ", "<", "\n</think", "  "])
def test_long_junk_takes_linear_time(junk: str) -> None:
    start = time.process_time()
    split_thinking(junk * (1_000_000 // len(junk)), None)
    assert time.process_time() - start < 10
