import random
import re

import pytest
from tokenizers import Tokenizer

from blocks.bundled import shipped_model
from hina.corpus import Question, dialogue, draw_question, held_out, judgement, render
from hina.world.oracle import grade_task
from hina.world.talk import read

JUDGE = "You are an impartial judge."


def _text(segments: list[tuple[str, float]]) -> str:
    return "".join(text for text, _ in segments)


def test_the_same_seed_gives_the_same_corpus() -> None:
    first, second, other = ([_text(dialogue(random.Random(seed))) for _ in range(3)] for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_nothing_held_out_is_trained_on() -> None:
    rng = random.Random(4)
    for _ in range(1500):
        first = re.split(r"<\|user\|>(?:(?:Topic|話題): [^\n]*\n)?", _text(dialogue(rng)), maxsplit=1)[1]
        assert not held_out(first.split("<|end|>")[0])


def test_dialogues_are_about_the_world_and_mostly_right() -> None:
    rng = random.Random(5)
    right = []
    for _ in range(1000):
        text = _text(dialogue(rng))
        assert JUDGE not in text
        match = re.search(
            r"<\|user\|>(?:(?:Topic|話題): [^\n]*\n)?(.*?)<\|end\|><\|assistant\|>(.*?)<\|end\|>", text, re.DOTALL
        )
        assert match is not None
        task = read(match[1])
        assert task is not None
        right.append(grade_task(task, match[2]).rating == 5)
    assert 0.75 < sum(right) / len(right) < 0.95


def test_verdicts_follow_the_oracle_in_the_order_of_the_texts() -> None:
    rng = random.Random(6)
    for _ in range(200):
        drawn = draw_question(rng)
        texts = [drawn.task.say(), "###", drawn.task.say(1)]
        segments = judgement(rng, Question(drawn.messages, drawn.task, texts))
        prompt, reply = segments[0][0], _text(segments[1:])
        ratings = re.findall(r"^(?:Rating|評点): ([1-5])", reply, re.MULTILINE)
        sections = re.findall(r"^(?:Text |文章)\d$", prompt, re.MULTILINE)
        assert len(ratings) == len(sections)
        assert reply.endswith("<|end|>")


def test_only_what_the_model_must_write_counts_in_the_loss() -> None:
    rng = random.Random(7)
    segments = judgement(rng, draw_question(rng))
    assert segments[0][1] == 0
    assert all(weight > 0 for _, weight in segments[1:])
    assert segments[0][0].endswith("<|assistant|>")


@pytest.mark.parametrize("seed", range(5))
def test_the_shipped_tokenizer_keeps_every_text(seed: int) -> None:
    tokenizer = Tokenizer.from_file(str(shipped_model() / "tokenizer.json"))
    rng = random.Random(seed)
    for text in (_text(dialogue(rng)), _text(judgement(rng, draw_question(rng))), "鰻 😀 ü\n\tx"):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_judge_prompts_are_short_in_tokens() -> None:
    tokenizer = Tokenizer.from_file(str(shipped_model() / "tokenizer.json"))
    rng = random.Random(8)
    lengths = [len(tokenizer.encode(judgement(rng, draw_question(rng))[0][0]).ids) for _ in range(50)]
    assert sum(lengths) / len(lengths) < 180


def test_rendering_ends_with_the_assistants_marker() -> None:
    assert render([{"role": "user", "content": "Hi"}]) == "<s><|user|>Hi<|end|><|assistant|>"
