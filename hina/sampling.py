"""The model's own answers to questions of its world, sampled hot: what it learns to judge."""

import random
from pathlib import Path

from blocks.bundled import BundledEngine
from hina.corpus import Question, draw_question

TEMPERATURES = (0.7, 1.0, 1.2, 1.4)


def answered(model: Path, seed: int, questions: int) -> list[Question]:
    """Questions, none held out, with four different answers at most that the model gave to each."""
    rng = random.Random(seed)
    drawn = [draw_question(rng) for _ in range(questions)]
    engine = BundledEngine(model)
    requests = [
        {"messages": question.messages, "temperature": temperature, "max_tokens": 80}
        for question in drawn for temperature in TEMPERATURES
    ]
    replies = iter(engine.generate(requests))
    found = []
    for question in drawn:
        texts = dict.fromkeys(next(replies).text.strip() for _ in TEMPERATURES)
        found.append(Question(question.messages, question.task, [text for text in texts if text]))
    return found
