import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kasasagi.hina.corpus import held_out
from kasasagi.hina.world.family import Task
from kasasagi.hina.world.oracle import RATINGS, grade, grade_task, task_of
from kasasagi.hina.world.slips import false_answer, lesser_answer, misspelt
from kasasagi.hina.world.talk import FAMILIES, TOPICS, draw_follow_up, draw_task, follow, instruct, read

SEEDS = st.integers(0, 2**32)
CONVERSATION = [
    {"role": "user", "content": "What is the capital of France?"},
    {"role": "assistant", "content": "The capital of France is Paris."},
]


def test_world_is_as_large_as_it_claims() -> None:
    assert len(FAMILIES) >= 40
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert {family.topic for family in FAMILIES} == set(TOPICS)
    rng = random.Random(3)
    drawn = [instruct(draw_task(rng), rng) for _ in range(3000)]
    japanese = sum((task := read(text)) is not None and task.lang == "ja" for text in drawn) / len(drawn)
    assert japanese == pytest.approx(1 / 3, abs=0.04)
    assert len(set(drawn)) > 2850


def test_more_than_a_hundred_thousand_instructions() -> None:
    assert sum(family.size() for family in FAMILIES if family.name != "sorting") > 100_000


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_every_way_of_asking_is_read_back_and_answered_right(family, lang) -> None:
    rng = random.Random(1)
    for ask in family.voices[lang].asks * 3:
        task = Task(family, lang, family.draw(rng))
        found = read(ask.fill(task.slots, lang))
        assert found is not None
        assert found.say() == task.say()
        for style in range(len(family.voices[lang].styles)):
            assert grade_task(found, task.say(style)).rating == 5


@settings(deadline=None, max_examples=200)
@given(SEEDS)
def test_a_false_answer_is_not_right_unless_it_says_the_truth_after_all(seed: int) -> None:
    rng = random.Random(seed)
    task = draw_task(rng)
    text = false_answer(task, rng)
    truths = {task.say(style) for style in range(4)}
    assert (grade_task(task, text).flaw == "none") == (text in truths)


@settings(deadline=None, max_examples=200)
@given(SEEDS, st.sampled_from(["cut", "foreign", "chatty", "misspelt", "forged"]))
def test_a_corrupted_answer_never_gets_full_marks(seed: int, kind: str) -> None:
    rng = random.Random(seed)
    task = draw_task(rng)
    text = lesser_answer(task, rng, {kind: 1.0})
    if text not in {task.say(style) for style in range(4)}:
        assert grade_task(task, text).rating < 5


@settings(deadline=None, max_examples=100)
@given(SEEDS, st.text(max_size=60))
def test_any_text_at_all_gets_a_grade(seed: int, text: str) -> None:
    found = grade_task(draw_task(random.Random(seed)), text)
    assert found.flaw in RATINGS
    assert found.verdict in ("right", "partly right", "wrong")


@settings(deadline=None, max_examples=100)
@given(SEEDS)
def test_a_follow_up_is_resolved_from_the_turn_before(seed: int) -> None:
    rng = random.Random(seed)
    task = draw_task(rng)
    more = draw_follow_up(task, rng)
    if more is not None:
        then = follow(task, more)
        assert then is not None
        assert then.lang == task.lang
        assert read(more) is None


@pytest.mark.parametrize(
    ("instruction", "response", "flaw"),
    [
        ("What is the capital of France?", "The capital of France is Paris.", "none"),
        ("What is the capital of France?", "Paris is the capital of France.", "none"),
        ("What is the capital of France?", "Paris.", "terse"),
        ("What is the capital of France?", "The capital of France is Rome.", "wrong"),
        ("What is the capital of France?", "The capital of Spain is Paris.", "subject"),
        ("What is the capital of France?", "フランスの首都はパリです。", "wrong_language"),
        ("What is the capital of France?", "The capital of France is Paris. Ask me more.", "extra"),
        ("What is the capital of France?", "The capittal of France is Paris.", "garbled"),
        ("What is the capital of France?", "The capital of Fr", "off"),
        ("What is the capital of France?", "Rating: 5", "imitation"),
        ("What is the capital of France?", "", "off"),
        ("フランスの首都はどこですか。", "フランスの首都はパリです。", "none"),
        ("フランスの首都はどこですか。", "フランスの首都はローマです。", "wrong"),
        ("Is a whale a fish? Say why.", "No, a whale is a mammal.", "no_reason"),
        ("Is a whale a fish? Say why.", "No, a whale is a mammal. The reason is that it has feathers.", "wrong_reason"),
        ("What is 15 + 4?", "15 + 4 = 10 + 7 = 19.", "wrong_reason"),
        ("What is 15 + 4?", "15 + 4 = 10 + 9 = 20.", "wrong"),
    ],
)
def test_flaws(instruction: str, response: str, flaw: str) -> None:
    assert grade(instruction, response).flaw == flaw


def test_what_a_wrong_text_says_is_found() -> None:
    found = grade("What is the capital of France?", "The capital of France is Rome.")
    assert (found.found, found.expected) == ("Rome", "The capital of France is Paris.")


def test_steps_of_a_list_are_compared_one_by_one() -> None:
    asked = "List the first 2 steps to make tea."
    assert grade(asked, "1. Boil the water\n2. Put in the leaves").verdict == "right"
    assert grade(asked, "1. Put in the leaves\n2. Boil the water").verdict == "wrong"


def test_conversations_are_graded_by_their_last_turn() -> None:
    asked = [*CONVERSATION, {"role": "user", "content": "And what about Italy?"}]
    assert grade(asked, "The capital of Italy is Rome.").verdict == "right"
    assert grade(asked, "The capital of France is Paris.").verdict == "wrong"


def test_reckoning_on_with_a_result() -> None:
    asked = [
        {"role": "user", "content": "What is 15 + 4?"},
        {"role": "assistant", "content": "15 + 4 = 10 + 9 = 19."},
        {"role": "user", "content": "Now add 5."},
    ]
    assert grade(asked, "19 + 5 = 10 + 14 = 24.").verdict == "right"


def test_steering_lines_and_openers_do_not_change_the_question() -> None:
    task = task_of("Topic: geography\nKen asks: What is the capital of France?")
    assert task is not None
    assert task.key == "Paris"


def test_outside_this_world_the_oracle_says_so() -> None:
    assert task_of("Who wrote Faust?") is None
    with pytest.raises(ValueError, match="does not know"):
        grade("Who wrote Faust?", "Goethe.")


def test_aspects_rate_a_foreign_answer_as_true_but_disobedient() -> None:
    found = grade("What is the capital of France?", "フランスの首都はパリです。")
    assert (found.rate("truthfulness"), found.rate("instruction-following"), found.rate("overall-rating")) == (5, 1, 2)


def test_one_instruction_in_twenty_is_held_out() -> None:
    rng = random.Random(2)
    share = sum(held_out(instruct(draw_task(rng), rng)) for _ in range(4000)) / 4000
    assert share == pytest.approx(0.05, abs=0.015)


@given(st.text(min_size=4, max_size=30), SEEDS)
def test_misspelling_stays_close(text: str, seed: int) -> None:
    assert abs(len(misspelt(text, random.Random(seed))) - len(text)) <= 1


@pytest.mark.parametrize(
    ("instruction", "right", "wrong"),
    [
        ("What is 64 + 122?", "64 + 122 = 180 + 6 = 186.", "64 + 122 = 180 + 6 = 176."),
        ("6 + 3 は7ですか。", "いいえ、6 + 3 = 9 です。", "はい、6 + 3 = 7 です。"),
        ("Sort 53, 53 and 20 from largest to smallest.", "From largest to smallest: 53, 53, 20.", "53, 20."),
        ("500を半分にしてください。", "500の半分は250です。", "500の半分は200です。"),
    ],
)
def test_the_oracle_knows_the_answer_to_questions_beyond_those_drawn(instruction: str, right: str, wrong: str) -> None:
    assert grade(instruction, right).verdict == "right"
    assert grade(instruction, wrong).verdict != "right"


@pytest.mark.parametrize(
    "instruction",
    [
        "What is half of 7?",
        "Subtract 30 from 20.",
        "What is 46 divided by 6?",
        "What is 5000 + 1?",
        "Compare 14 and 14.",
        "What is 012 + 1?",
    ],
)
def test_a_question_without_an_answer_in_this_world_is_none_of_it(instruction: str) -> None:
    assert read(instruction) is None
