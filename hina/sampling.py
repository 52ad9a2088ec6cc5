"""The model's own answers to questions of its world, sampled hot: what it learns to judge."""

import random
from multiprocessing import get_context
from pathlib import Path

import torch
from tokenizers import Tokenizer

from kasasagi.blocks.engines.bundled import BundledEngine
from kasasagi.blocks.models.llm import Message
from kasasagi.hina.convert import export
from kasasagi.hina.corpus import WorldQuestion, draw_question
from kasasagi.hina.model import Llama, Shape

TEMPERATURES = (0.7, 1.0, 1.2, 1.4)


def answered(folder: Path, shape: Shape, seed: int, questions: int) -> list[WorldQuestion]:
    """Questions, none held out, with four different answers at most that the checkpoint in the folder gave to each.

    A process of its own samples them, because the engine's threads would slow down the training's.
    """
    rng = random.Random(seed)
    drawn = [draw_question(rng) for _ in range(questions)]
    prompts = [question.messages for question in drawn]
    with get_context("spawn").Pool(1) as pool:
        replies = pool.apply(_sample, (folder, shape, prompts))
    return [WorldQuestion(q.messages, q.task, texts) for q, texts in zip(drawn, replies, strict=True)]


def _sample(folder: Path, shape: Shape, prompts: list[list[Message]]) -> list[list[str]]:
    model = Llama(shape)
    model.load_state_dict(torch.load(folder / "checkpoint.pt"))
    export(model, Tokenizer.from_file(str(folder / "tokenizer.json")), folder / "sampled")
    engine = BundledEngine(folder / "sampled")
    requests = [{"messages": p, "temperature": t, "max_tokens": 80} for p in prompts for t in TEMPERATURES]
    replies = iter(engine.generate(requests))
    return [list(dict.fromkeys(t for t in (next(replies).text.strip() for _ in TEMPERATURES) if t)) for _ in prompts]
