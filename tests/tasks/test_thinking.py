"""Thinking is split from the answer where a model marks it, and nowhere else."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.thinking import split_thinking


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
    ],
)
def test_talk_about_the_tags_is_left_alone(content: str) -> None:
    assert split_thinking(content, None) == (content, None)


def test_a_reasoning_field_is_taken_as_it_is() -> None:
    assert split_thinking(" <think>x</think> a", "plan\n") == (" <think>x</think> a", "plan\n")


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_blank_reasoning_field_says_nothing(blank: str) -> None:
    assert split_thinking("<think>plan</think>answer", blank) == ("answer", "plan")


@given(st.text().filter(lambda text: "think>" not in text and text.strip()), st.text(min_size=1))
def test_both_forms_give_the_same_answer(thought: str, answer: str) -> None:
    whole = split_thinking(f"<think>\n{thought}\n</think>\n\n{answer}", None)
    lone = split_thinking(f"{thought}\n</think>\n\n{answer}", None)
    if "think>" not in answer:
        assert whole == lone == (answer.lstrip(), thought.strip())


@pytest.mark.parametrize("junk", ["<think>", "<think></think>", "`</think>`", "`", "``` ", "<", "\n</think", "  "])
def test_long_junk_takes_linear_time(junk: str) -> None:
    start = time.process_time()
    split_thinking(junk * (1_000_000 // len(junk)), None)
    assert time.process_time() - start < 10
