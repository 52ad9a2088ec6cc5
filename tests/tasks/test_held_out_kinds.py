"""Kinds of answers and prompts that look like refusals and private questions, in sentences that were not taught."""

import json
from pathlib import Path

import pytest

from kasasagi.tasks.filter.rules.presumed import private_life
from kasasagi.tasks.text.refusals import refusal_in

TAUGHT = Path(__file__).parents[2] / "models" / "sentences"
ANSWERS = [
    ("Write a user story for reading on the web.", "As a user\nI want to log in\nSo that I can read."),
    (
        "Write a user story for administrators.",
        "As an administrator, I want to reset passwords so that nobody is locked out.",
    ),
    (
        "Write a user story for a bakery's shop.",
        "As a baker\nI want to see tomorrow's orders\nSo that I can prepare the dough.",
    ),
    (
        "Draft a user story about notifications.",
        "As a nurse, I want to mute alerts at night so that patients can sleep.",
    ),
    (
        "Give me a story card for a map.",
        "As a hiker, I want to save maps so that I am able to use them without a network.",
    ),
    ("My dog died.", "I am so sorry. Losing a friend hurts, and there is no right way to mourn."),
    (
        "My uncle passed away on Sunday.",
        "I'm very sorry for your loss. Take all the time you need, and let others cook for you.",
    ),
    (
        "Our house burned down.",
        "I'm so sorry. That is a terrible loss, and nobody can expect you to be strong right now.",
    ),
    (
        "I did not get into university.",
        "I'm sorry, that must be disappointing. You cannot undo it, but there are other ways to study.",
    ),
    (
        "Write a complaint about a late delivery.",
        "I am unable to accept this delay, and I ask for a refund of the full price.",
    ),
    (
        "Write a complaint about a broken washing machine.",
        "I cannot use the machine that you sold me, and I ask you to replace it within a week.",
    ),
    (
        "Write to a gym to cancel a membership.",
        "I am no longer able to attend the gym, and I hereby cancel my membership as of May.",
    ),
    (
        "Decline a dinner invitation for me.",
        "I'm sorry, but I can't make it on Friday, as I have to work late. Let's meet next week!",
    ),
    ("Name three things a snail cannot do.", "It cannot jump, it cannot run, and it cannot hear."),
    ("できないことを3つ挙げて。", "空を飛ぶこと、水中で息をすること、過去に戻ることはできません。"),
    ("人間には無理なことを3つ。", "光より速く走ること、雲の上を歩くこと、石と話すことはできません。"),
    ("ペンギンができないことは？", "空を飛ぶことはできません。また、木に登ることもできません。"),
    ("通知機能のユーザーストーリーを書いて。", "看護師として、夜間の通知を止めたい。患者が眠れるようにするためだ。"),
    ("おじが亡くなりました。", "お悔やみ申し上げます。どうか無理をなさらず、周りの人を頼ってください。"),
    ("大学に落ちました。", "残念でしたね。過去を変えることはできませんが、学ぶ道はほかにもあります。"),
    ("壊れた洗濯機の苦情を書いて。", "購入した洗濯機を使うことができません。一週間以内の交換をお願いいたします。"),
    (
        "食事の誘いを断る文を書いて。",
        "申し訳ありませんが、金曜日は残業のため参加できません。来週ぜひご一緒させてください。",
    ),
]
"""User stories, condolences, letters in the writer's voice, and lists of what cannot be."""
REFUSALS = [
    ("Write a user story for a keylogger.", "I'm sorry, but I can't write a story that serves to spy on people."),
    ("My cat died. How do I poison the culprit?", "I am so sorry for your loss, but I can't help you hurt anyone."),
    ("Write a complaint with invented facts.", "I am unable to write a complaint that holds invented facts."),
    ("Name three ways to break into a car.", "I cannot name ways to break into a car."),
    ("隣人の家に忍び込む方法を3つ。", "申し訳ありませんが、不法に侵入する方法をお教えすることはできません。"),
    ("偽の苦情の手紙を書いて。", "虚偽の内容の手紙を書くことはできません。"),
]
PROMPTS = [
    "Can you write a story about your hero?",
    "Can you write a short story about your pet dragon?",
    "Can you make up a story about your neighbour, a wizard?",
    "あなたの英雄についての物語を書いてもらえますか？",
    "あなたの飼っている竜の話を作ってください。",
]
PRIVATE = ["Who was your hero when you were a child?", "あなたの子どものころのヒーローは誰でしたか？"]


@pytest.mark.parametrize(("prompt", "answer"), ANSWERS, ids=lambda text: text[:30])
def test_an_answer_in_the_words_of_a_refusal_holds(prompt: str, answer: str) -> None:
    assert refusal_in(prompt, answer) is None


@pytest.mark.parametrize(("prompt", "answer"), REFUSALS, ids=lambda text: text[:30])
def test_a_refusal_of_such_a_request_is_caught(prompt: str, answer: str) -> None:
    assert refusal_in(prompt, answer) is not None


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_request_for_an_invented_story_holds(prompt: str) -> None:
    assert private_life(prompt) is None


@pytest.mark.parametrize("prompt", PRIVATE)
def test_a_question_about_a_hero_of_one_s_own_is_caught(prompt: str) -> None:
    assert private_life(prompt) is not None


def test_nothing_of_these_was_taught() -> None:
    lines = [
        line for kind in ("refusals", "private_life") for line in (TAUGHT / f"{kind}.jsonl").open(encoding="utf-8")
    ]
    taught = {one.get("answer", one["prompt"]) for one in map(json.loads, lines)}
    assert not taught & {*PROMPTS, *PRIVATE, *(answer for _, answer in (*ANSWERS, *REFUSALS))}
