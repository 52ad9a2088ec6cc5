"""Training: `python -m kasasagi.hina.train` makes models/hina from a seed, in at most two hours on two cores."""

import argparse
import json
import math
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from kasasagi.hina.convert import export
from kasasagi.hina.corpus import Segment, WorldQuestion, comparisons, dialogue, draw_question, invention, judgement
from kasasagi.hina.model import Llama, Shape
from kasasagi.hina.sampling import answered
from kasasagi.hina.tokenizer import encode, train_tokenizer

Example = tuple[list[int], list[float]]
JUDGED_SHARES = ((0.0, 0.2), (0.35, 0.4), (0.6, 0.45))
"""The share of training tokens that are judge prompts, from which part of the training on."""
COMPARED_SHARES = ((0.0, 0.0), (0.15, 0.4), (0.35, 0.15))
"""The share of training tokens that are runs of comparisons, likewise; the judge rests on them."""
INVENTED_SHARE = 0.2
"""The share of training tokens that are instructions alone."""
SHARPENED = 1.03
"""What the final norm is multiplied by after training: a small network leaves the improbable a little too much."""
REPORT_EVERY, SAVE_EVERY = 25, 100


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how hard to train; `tokens` counts all tokens, prompts included.

    Each thread takes whole micro-batches, so that a core which others use too does not hold up the other one.
    On a machine too slow for all of them within `minutes`, the schedule runs by the clock instead. `compiled` has torch
    compile the layers, a quarter faster; that takes a C++ compiler.
    """

    seed: int = 20
    tokens: int = 90_000_000
    step_tokens: int = 4_096
    micro_tokens: int = 1_024
    threads: int = 2
    muon_rate: float = 0.01
    adam_rate: float = 0.002
    warm_up: float = 0.02
    decay_from: float = 0.1
    sampled_at: tuple[float, ...] = (0.35, 0.6, 0.8)
    sampled_questions: int = 6_000
    minutes: float = 110.0
    compiled: bool = False

    @property
    def steps(self) -> int:
        """How many steps that makes."""
        return math.ceil(self.tokens / self.step_tokens)


class Corpus:
    """An endless, seeded stream of examples; its share of judge prompts grows during the training."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self.tokenizer = tokenizer
        self.rng = random.Random(seed)
        self.pool: list[WorldQuestion] = []

    def batch(self, tokens: int, progress: float) -> list[Example]:
        """Examples of about so many tokens."""
        judged, compared = _share(JUDGED_SHARES, progress), _share(COMPARED_SHARES, progress)
        kinds: tuple[tuple[float, Callable[[], list[Segment]]], ...] = (
            (compared, lambda: comparisons(self.rng)),
            (judged, lambda: judgement(self.rng, self._question())),
            (INVENTED_SHARE, lambda: invention(self.rng)),
            (1 - compared - judged - INVENTED_SHARE, lambda: dialogue(self.rng)),
        )
        found: list[Example] = []
        for share, draw in kinds:
            filled = 0
            while filled < tokens * share:
                found.append(encode(self.tokenizer, draw()))
                filled += len(found[-1][0])
        return found

    def _question(self) -> WorldQuestion:
        if self.pool and self.rng.random() < 0.6:
            return self.rng.choice(self.pool)
        return draw_question(self.rng)


def _share(shares: Sequence[tuple[float, float]], progress: float) -> float:
    """Return the share that holds at a point of the training."""
    return [share for start, share in shares if progress >= start][-1]


def micro_batches(examples: list[Example], tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the examples by length, the longest first, in padded batches (ids, weights) of at most so many tokens."""
    ordered = sorted(examples, key=lambda example: -len(example[0]))
    group: list[Example] = []
    for example in ordered:
        if group and len(group[0][0]) * (len(group) + 1) > tokens:
            yield _padded(group)
            group = []
        group.append(example)
    yield _padded(group)


def _padded(group: list[Example]) -> tuple[Tensor, Tensor]:
    length = max(len(ids) for ids, _ in group)
    ids = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in group])
    weights = torch.tensor([weights + [0.0] * (length - len(weights)) for _, weights in group])
    return ids, weights


class Trainer:
    """A network with its optimizers and its corpus."""

    def __init__(self, plan: TrainingPlan, shape: Shape, tokenizer: Tokenizer) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.model = Llama(shape)
        self.corpus = Corpus(tokenizer, plan.seed)
        matrices = [p for layer in self.model.layers for p in layer.parameters() if p.ndim == 2]
        others = [p for p in self.model.parameters() if all(p is not m for m in matrices)]
        matrices.sort(key=Tensor.numel)
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices[i :: plan.threads], lr=plan.muon_rate, weight_decay=0.01, adjust_lr_fn="original")
            for i in range(plan.threads)
        ]
        self.optimizers.append(torch.optim.AdamW(others, lr=plan.adam_rate, betas=(0.9, 0.98), weight_decay=0.0))
        if plan.compiled:
            for layer in self.model.layers:
                layer.forward = torch.compile(layer.forward, dynamic=True)
        self.workers = ThreadPoolExecutor(plan.threads, initializer=torch.set_num_threads, initargs=(1,))
        self.rates = [plan.muon_rate] * plan.threads + [plan.adam_rate]

    def rate(self, progress: float) -> float:
        """Return the learning rate's factor: warm-up, a plateau, then a straight line to a hundredth."""
        if progress < self.plan.warm_up:
            return (progress + 0.001) / (self.plan.warm_up + 0.001)
        left = (1 - progress) / (1 - self.plan.decay_from)
        return max(0.01, min(1.0, left))

    def step(self, progress: float) -> float:
        """Train one step on a fresh batch and return the mean loss per weighted token."""
        examples = self.corpus.batch(self.plan.step_tokens, progress)
        total = sum(sum(weights[1:]) for _, weights in examples)
        batches = micro_batches(examples, self.plan.micro_tokens)
        jobs = [self.workers.submit(self._learn, ids, weights, total) for ids, weights in batches]
        summed = sum(job.result() for job in jobs)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        factor = self.rate(progress)
        list(self.workers.map(self._update, self.optimizers, [rate * factor for rate in self.rates]))
        return summed

    @staticmethod
    def _update(optimizer: torch.optim.Optimizer, rate: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _learn(self, ids: Tensor, weights: Tensor, total: float) -> float:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = self.model.loss(ids, weights) / total
        loss.backward()
        return float(loss.item())


def train(plan: TrainingPlan, shape: Shape, folder: Path) -> list[float]:
    """Train, and leave the tokenizer, checkpoints and exports in the folder; returns the losses, one a step."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(plan.seed, shape.vocabulary)
    tokenizer.save(str(folder / "tokenizer.json"))
    trainer = Trainer(plan, shape, tokenizer)
    milestones = sorted(plan.sampled_at)
    losses: list[float] = []
    torch.set_num_threads(1)
    start = time.monotonic()
    while (progress := _progress(plan, len(losses), time.monotonic() - start)) < 1:
        if milestones and progress >= milestones[0]:
            milestones.pop(0)
            _save(trainer.model, folder)
            trainer.corpus.pool = answered(folder, shape, plan.seed + len(losses), plan.sampled_questions)
        losses.append(trainer.step(progress))
        if len(losses) % REPORT_EVERY == 0:
            _report(plan, losses, progress, time.monotonic() - start)
        if len(losses) % SAVE_EVERY == 0:
            _save(trainer.model, folder)
    sharpen(trainer.model)
    export(trainer.model, tokenizer, folder / "final")
    return losses


def sharpen(model: Llama) -> None:
    """Scale the logits, so that sampling at temperature 1 strays less; what is most probable stays so."""
    with torch.no_grad():
        model.norm.weight.mul_(SHARPENED)


def _save(model: Llama, folder: Path) -> None:
    torch.save(model.state_dict(), folder / "checkpoint.partial")
    (folder / "checkpoint.partial").replace(folder / "checkpoint.pt")


def _progress(plan: TrainingPlan, steps: int, seconds: float) -> float:
    """Return how far the training is, from 0 to 1: by its steps, or by the clock where that is further."""
    return max(steps / plan.steps, seconds / 60 / plan.minutes)


def _report(plan: TrainingPlan, losses: list[float], progress: float, seconds: float) -> None:
    recent = losses[-REPORT_EVERY:]
    line = {
        "step": len(losses),
        "progress": round(progress, 3),
        "loss": round(sum(recent) / len(recent), 4),
        "seconds": round(seconds),
        "tokens_per_second": round(len(losses) * plan.step_tokens / seconds),
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    """The command line: train and put the result in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=TrainingPlan.seed)
    parser.add_argument("--tokens", type=int, default=TrainingPlan.tokens)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("build/hina"), help="checkpoints and intermediate exports")
    parser.add_argument("--into", type=Path, default=Path("models/hina"), help="where the finished model goes")
    parser.add_argument(
        "--minutes", type=float, default=TrainingPlan.minutes, help="at most so long; the schedule adapts"
    )
    arguments = parser.parse_args()
    plan = TrainingPlan(
        seed=arguments.seed,
        tokens=arguments.tokens,
        minutes=arguments.minutes,
        threads=arguments.threads,
        compiled=shutil.which("g++") is not None,
    )
    train(plan, Shape(), arguments.work)
    for part in ("ct2", "hf"):
        shutil.rmtree(arguments.into / part, ignore_errors=True)
        shutil.copytree(arguments.work / "final" / part, arguments.into / part)


if __name__ == "__main__":
    main()
