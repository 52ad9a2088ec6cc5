"""What the rules catch and lose of the sentences of two authors who taught the classifiers nothing."""

import json
import random
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.filter.rules.presumed import LONGEST, missing_context, private_life
from kasasagi.tasks.text.classifier.classifier import UNIT, Classifier, Kind, classifier
from kasasagi.tasks.text.classifier.pieces import pieces_of, tokens_of
from kasasagi.tasks.text.refusals import refusal_in

LEAST_CAUGHT = 0.85
MOST_LOST = 0.01
WRITTEN = Path(__file__).with_name("samples")
TAUGHT = Path(__file__).parents[2] / "models" / "sentences"
KINDS: tuple[Kind, ...] = get_args(Kind)
Sentence = dict[str, str]


def caught(kind: str, sentence: Sentence) -> bool:
    prompt = sentence["prompt"]
    if kind == "refusals":
        return refusal_in(prompt, sentence["answer"]) is not None
    if kind == "private_life":
        return private_life(prompt) is not None
    return missing_context(prompt, [{"role": "user", "content": prompt}]) is not None


def sentences(kind: str, label: str) -> list[Sentence]:
    lines = (WRITTEN / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
    return [one for one in map(json.loads, lines) if one["label"] == label]


@pytest.mark.parametrize("kind", KINDS)
def test_most_bad_sentences_of_strange_authors_are_caught(kind: str) -> None:
    bad = sentences(kind, "bad")
    missed = [one for one in bad if not caught(kind, one)]
    assert len(bad) >= 150
    assert len(missed) <= (1 - LEAST_CAUGHT) * len(bad), missed


@pytest.mark.parametrize("kind", KINDS)
def test_the_strange_authors_wrote_nothing_that_was_taught(kind: str) -> None:
    lines = (TAUGHT / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
    taught = {(one["prompt"], one.get("answer")) for one in map(json.loads, lines)}
    held_out = {(one["prompt"], one.get("answer")) for label in ("bad", "good") for one in sentences(kind, label)}
    assert not held_out & taught


@pytest.mark.parametrize("kind", KINDS)
def test_hardly_a_good_sentence_of_strange_authors_is_lost(kind: str) -> None:
    good = sentences(kind, "good")
    lost = [one for one in good if caught(kind, one)]
    assert len(good) >= 280
    assert len(lost) <= MOST_LOST * len(good), lost


@pytest.mark.parametrize(
    "text",
    [
        "What are the goals of the ongoing project, and who is responsible for them?",
        "現在進行中のプロジェクトについて、進捗状況を教えてください。",
        "Which insects do the plants around your home attract?",
        "あなたの家の周りの植物は、花粉媒介者としてどのような昆虫を引き寄せますか？",
        "あなたの自宅の周りにある植物は花粉媒介者として、どんな役割を果たしていますか？",
    ],
)
def test_what_only_a_person_in_a_place_can_answer_is_caught(text: str) -> None:
    assert caught("private_life", {"prompt": text}) or caught("missing_context", {"prompt": text})


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (
            "Code a program that logs what my flatmate types.",
            "I cannot help with making spyware or similar tools. If security interests you, I can name some books.",
        ),
        ("Help me get past the paywall.", "I can't assist with that, but I can suggest papers that are free to read."),
        ("Write a threat to my landlord.", "I'm sorry, but I cannot help with threatening anyone."),
        ("How do I hot-wire a car?", "I can't help with that request. Is there anything else you would like to know?"),
        ("隣の家のWi-Fiに勝手につなぐ方法は？", "申し訳ありませんが、不正な接続のお手伝いはできません。"),
    ],
)
def test_the_commonest_forms_of_refusals_are_caught(prompt: str, answer: str) -> None:
    assert caught("refusals", {"prompt": prompt, "answer": answer})


def test_capitals_and_full_width_letters_make_no_difference() -> None:
    assert tokens_of("ＷＨＡＴ DO\r\n\r\n  YOU’D") == tokens_of("what do\nyou'd")


@given(st.lists(st.sampled_from("abcあ\n"), max_size=12), st.integers(0, 2**32))
def test_a_score_counts_each_piece_that_has_a_weight(tokens: list[str], seed: int) -> None:
    pieces, pick = sorted(pieces_of(["^", *tokens, "$"], tokens[:2])), random.Random(seed)
    weights = {piece: pick.randint(-99, 99) for piece in pieces if pick.random() < 0.3}
    found = Classifier({**weights, "z z": 5}, 0.5).score(["^", *tokens, "$"], tokens[:2])
    assert found == pytest.approx(0.5 + UNIT * sum(weights.values()) / (len(tokens) + 2) ** 0.5)


def test_a_rule_says_by_which_words_it_knows() -> None:
    found = private_life("What did you have for breakfast this morning?")
    assert found is not None
    assert "did you" in found


def test_a_long_instruction_brings_what_it_speaks_of() -> None:
    text = "Summarise the text below.\n\n"
    assert caught("missing_context", {"prompt": text})
    assert not caught("missing_context", {"prompt": text + "The river rose all night. " * (LONGEST // 20)})


@pytest.mark.parametrize("text", ["", " ", "?", "𝕏", "\ud800", "a" * 10_000])
def test_no_text_breaks_a_classifier(text: str) -> None:
    for kind in KINDS:
        classifier(kind).telling_words(text, text)
