"""How many of the samples the rules catch, and that they lose no good one; the halves are told apart."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from kasasagi.tasks.filter.rules.context import missing_context
from kasasagi.tasks.filter.rules.private import private_life
from kasasagi.tasks.text.response_rules import Answer, first_broken
from tests.tasks.rule_samples import GOOD_ANSWERS, GOOD_PROMPTS, MISSING_CONTEXT, PRIVATE_LIFE, REFUSALS

LEAST_CAUGHT = 0.85
READ, HELD_OUT = 0, 1
WRITTEN = Path(__file__).with_name("samples")


def refused(sample: tuple[str, str]) -> bool:
    return first_broken(["no_refusal"], Answer(*sample, "stop")) is not None


def private(text: str) -> bool:
    return private_life(text) is not None


def without_context(text: str) -> bool:
    return missing_context(text, [{"role": "user", "content": text}]) is not None


@pytest.mark.parametrize("half", [READ, HELD_OUT])
@pytest.mark.parametrize(
    ("caught", "samples"),
    [(refused, REFUSALS), (private, PRIVATE_LIFE), (without_context, MISSING_CONTEXT)],
    ids=["refusal", "private_life", "missing_context"],
)
def test_most_bad_samples_are_caught(caught: Callable[[Any], bool], samples: Sequence[Any], half: int) -> None:
    part = samples[half::2]
    missed = [sample for sample in part if not caught(sample)]
    assert len(part) >= 30
    assert len(missed) <= (1 - LEAST_CAUGHT) * len(part), missed


def test_no_good_sample_is_lost() -> None:
    assert len(GOOD_ANSWERS[HELD_OUT::2]) + len(GOOD_PROMPTS[HELD_OUT::2]) >= 100
    assert [sample for sample in GOOD_ANSWERS if refused(sample)] == []
    assert [text for text in GOOD_PROMPTS if private(text) or without_context(text)] == []


def answer_refused(sample: dict[str, str]) -> bool:
    return refused((sample["prompt"], sample["answer"]))


@pytest.mark.parametrize("half", [READ, HELD_OUT])
@pytest.mark.parametrize(
    ("caught", "kind"),
    [(answer_refused, "refusals"), (private, "private_life"), (without_context, "missing_context")],
    ids=["refusal", "private_life", "missing_context"],
)
def test_most_bad_sentences_are_caught_and_no_good_one_is_lost(
    caught: Callable[[Any], bool], kind: str, half: int
) -> None:
    samples = yaml.safe_load((WRITTEN / f"{kind}.yaml").read_text(encoding="utf-8"))
    bad, good = samples["bad"][half::2], samples["good"][half::2]
    missed = [sample for sample in bad if not caught(sample)]
    assert len(bad) >= 30
    assert len(good) >= 50
    assert len(missed) <= (1 - LEAST_CAUGHT) * len(bad), missed
    assert [sample for sample in good if caught(sample)] == []


@pytest.mark.parametrize("kind", ["private_life", "missing_context"])
def test_no_good_sentence_is_lost_to_the_other_rule(kind: str) -> None:
    good = yaml.safe_load((WRITTEN / f"{kind}.yaml").read_text(encoding="utf-8"))["good"]
    assert [text for text in good if private(text) or without_context(text)] == []


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
    assert private(text) or without_context(text)
