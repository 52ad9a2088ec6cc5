"""What an answer says of its own model: which one it is, up to when it knows things, how it thinks about its task."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.respond import rules as rules_module
from kasasagi.tasks.respond.config import DEFAULT_RULES
from kasasagi.tasks.respond.rules import SELF_REFERENCE, answer_rules, broken_rule, rule_key_parts
from kasasagi.tasks.text.response_rules import Answer

SAMPLES = [
    json.loads(line) for line in (Path(__file__).parent / "samples" / "self_reference.jsonl").read_text().splitlines()
]
LEAST_CAUGHT = 0.85
FEWEST = {"provider_identity": 60, "cutoff_date": 45, "thinking_leak": 16}


def reason(prompt: str, answer: str, *names: str) -> str | None:
    broken = broken_rule(answer_rules(names or tuple(SELF_REFERENCE), Path()), Answer(prompt, answer, "stop"))
    return broken.reason if broken else None


def samples(rule: str, label: str) -> list[dict[str, str]]:
    return [one for one in SAMPLES if (one["rule"], one["label"]) == (rule, label)]


@pytest.mark.parametrize("rule", FEWEST)
def test_most_of_what_a_rule_is_for_is_caught(rule: str) -> None:
    bad = samples(rule, "bad")
    missed = [one for one in bad if reason(one["prompt"], one["answer"], f"no_{rule}") != rule]
    assert len(bad) >= FEWEST[rule]
    assert len(missed) <= (1 - LEAST_CAUGHT) * len(bad), missed


@pytest.mark.parametrize("rule", FEWEST)
def test_no_decoy_is_lost(rule: str) -> None:
    good = samples(rule, "good")
    assert len(good) >= FEWEST[rule]
    assert [one for one in good if reason(one["prompt"], one["answer"])] == []


def test_english_and_japanese_are_equally_at_home() -> None:
    for rule in FEWEST:
        for label in ("bad", "good"):
            japanese = [one for one in samples(rule, label) if not one["answer"].isascii() and "。" in one["answer"]]
            assert len(japanese) >= 5


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("Hello!", "provider_identity"),
        ("Are you ChatGPT?", "provider_identity"),
        ("あなたはChatGPTですか？", "provider_identity"),
        ("Pretend to be ChatGPT.", None),
        ("You are ChatGPT. Greet a user.", None),
        ("ChatGPTになりきって挨拶して。", None),
        ("Pretend to be Claude.", "provider_identity"),
    ],
)
def test_an_instruction_that_names_the_model_excuses_it_unless_it_asks_the_answerer(
    prompt: str, found: str | None
) -> None:
    assert reason(prompt, "Hello, I'm ChatGPT, and I was trained by OpenAI.") == found


@pytest.mark.parametrize(
    ("prompt", "found"),
    [("Who leads it?", "cutoff_date"), ("Write an email to my boss.", None), ("What is your knowledge cutoff?", None)],
)
def test_what_a_person_may_say_of_an_update_is_excused_where_a_letter_is_asked_for(
    prompt: str, found: str | None
) -> None:
    assert reason(prompt, "As of my last update in 2023, the team was led by Ms. Park.") == found


def test_a_knowledge_cutoff_in_a_letter_is_none_of_a_person() -> None:
    assert reason("Write an email to my boss.", "Dear boss, my knowledge cutoff is April 2023.") == "cutoff_date"


@pytest.mark.parametrize(
    "answer",
    [
        "He wrote: “I'm ChatGPT, made by OpenAI.” Nobody laughed.",
        "> I'm ChatGPT, made by OpenAI.\n\nThis line is from the log.",
        "```\nI'm ChatGPT, made by OpenAI.\n```\nThis prints a greeting.",
        "Robot: I'm ChatGPT, made by OpenAI.\nAnna: Hello!",
        "The log says `I'm ChatGPT, made by OpenAI` twice.",
    ],
)
def test_what_others_say_is_not_the_answers_own_word(answer: str) -> None:
    assert reason("Write something.", answer) is None


def test_the_rules_are_not_among_the_defaults_and_change_no_other_key(tmp_path: Path) -> None:
    assert not set(SELF_REFERENCE) & set(DEFAULT_RULES)
    assert rule_key_parts(DEFAULT_RULES, tmp_path) == []


def test_a_change_in_their_modules_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rule_key_parts(["no_cutoff_date"], tmp_path)
    (tmp_path / "__init__.py").write_text("changed")
    monkeypatch.setattr(rules_module.self_reference, "__file__", str(tmp_path / "__init__.py"))
    assert before
    assert rule_key_parts(["no_cutoff_date"], tmp_path) not in ([], before)


@given(st.text(max_size=300))
def test_no_text_breaks_a_rule(text: str) -> None:
    reason(text, f"I'm {text} 2021 OpenAI 私は{text}です")


@pytest.mark.parametrize(
    "answer",
    [
        "I am " * 3000 + "OpenAI",
        "I'm a model, " * 1000 + "OpenAI",
        "私はOpenAIが" * 1500,
        "my training data is in " * 600 + "2021",
        "“「'\"" * 2000 + "OpenAI",
        "Okay, so " * 2000,
        "a very plain sentence. " * 500 + "As of 2021, OpenAI has offices.",
    ],
)
def test_long_and_hostile_answers_take_no_time(answer: str) -> None:
    started = time.perf_counter()
    reason("Go on.", answer)
    assert time.perf_counter() - started < 1
