"""Does the data teach? `python -m benchmarks.dpo_gain` trains hina on the pairs that it makes for itself.

For each seed hina invents instructions (Magpie), answers each of them twice at temperature 1, as it is tested later,
and judges the answers in both orders; TRL's DPOTrainer trains it on the pairs for some minutes; the oracle of its
world then grades its answers to held-out questions at temperature 1, before and after. Beside it stands the same
training, with as many pairs, on those of a naive rule: the maximum over the minimum of one order, ties kept. The gain
is in points of answers that are right, with Student's interval over the seeds. Needs the extra [train].

What each seed gave is kept in --folder as soon as it is known, and so is every answer of hina: run again after a kill
it resumes with the seed that was interrupted.
"""

import argparse
import json
import math
import os
import random
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ctranslate2

from benchmarks.hina import answers, questions, share
from benchmarks.truth import count
from kasasagi.blocks.canonical import digest
from kasasagi.blocks.engines.bundled import BundledEngine, shipped_model
from kasasagi.blocks.workspace.runs import Run
from kasasagi.hina.corpus import held_out
from kasasagi.hina.world.oracle import grade_task
from kasasagi.tasks.reports.statistics import Interval, Z, mean
from kasasagi.tasks.tables.run_tables import open_tables

RULES = ("ours", "naive")
GAINS = (("ours", "before"), ("naive", "before"), ("ours", "naive"))

_TEXTS = "SELECT prompt_id, messages, instruction FROM prompts"
_PAIRS = """
SELECT q.messages, q.instruction, c.content AS chosen, r.content AS rejected
FROM pairs AS p JOIN prompts AS q USING (prompt_id)
JOIN responses AS c ON c.response_id = p.chosen_id JOIN responses AS r ON r.response_id = p.rejected_id
ORDER BY p.prompt_id
"""
# A tie takes the text that was shown first for the better one: what max and min make of noise.
_NAIVE = """
SELECT q.messages, q.instruction,
       arg_max(r.content, (w.rating, -w.place)) AS chosen, arg_min(r.content, (w.rating, -w.place)) AS rejected
FROM ratings AS w JOIN responses AS r USING (response_id) JOIN prompts AS q ON q.prompt_id = w.prompt_id
WHERE w.ordering = 'first' GROUP BY q.prompt_id, q.messages, q.instruction HAVING count(*) > 1
ORDER BY q.prompt_id
"""


@dataclass(frozen=True)
class Training:
    """How hina is trained on pairs.

    likelihood weighs a term that keeps the chosen answers likely (https://arxiv.org/abs/2404.19733), which DPO alone
    lets sink together with the rejected ones. Of two threads each waits for the other, which on a busy machine takes
    four times as long as one thread alone.
    """

    rate: float = 3e-4
    beta: float = 0.1
    likelihood: float = 1.0
    epochs: float = 1.0
    batch: int = 16
    threads: int = 1


def run_for_pairs(folder: Path, seed: int, prompts: int) -> Run:
    """Return a run of hina's on instructions of its own, two answers to each at temperature 1, judged in
    both orders.
    """
    from kasasagi.flows.runner import run_recipe

    changes = [
        f"source.target={prompts}",
        f"source.round={seed}",
        "respond.models=[hina]",
        "respond.samples=2",
        "respond.sampling={temperature: 1.0, max_tokens: 160}",
        "gates.on_fail=warn",
        f"publish.path={folder / f'out-{seed}'}",
    ]
    return run_recipe("quickstart", changes, workspace=folder / "workspace").run


def pairs_of(run: Run) -> list[dict[str, Any]]:
    """Return the pairs of a run, but for instructions that the test may ask."""
    return _rows(run, _PAIRS)


def naive_pairs_of(run: Run, most: int, seed: int) -> list[dict[str, Any]]:
    """Return what a naive rule makes of the same ratings, at most so many pairs."""
    rows = _rows(run, _NAIVE)
    return random.Random(seed).sample(rows, min(most, len(rows)))


def _rows(run: Run, query: str) -> list[dict[str, Any]]:
    with open_tables(run) as tables:
        rows: list[dict[str, Any]] = tables.sql(query).to_arrow_table().to_pylist()
    return [row for row in rows if not held_out(row["instruction"])]


def truth_of(pairs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the share of pairs whose chosen answer is really better, equal or worse."""
    counts = count(pairs)
    known = max(1, sum(counts.values()) - counts["outside"])
    return {name: f"{counts[name] / known:.1%}" for name in ("better", "equal", "worse")}


def train(pairs: Sequence[dict[str, Any]], training: Training, seed: int, folder: Path) -> BundledEngine:
    """hina after TRL's DPOTrainer on some pairs, ready to answer."""
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    torch.set_num_threads(training.threads)
    start = shipped_model().parent / "hf"
    arguments = DPOConfig(
        output_dir=str(folder / "trainer"),
        learning_rate=training.rate,
        beta=training.beta,
        loss_type=["sigmoid", "sft"] if training.likelihood else ["sigmoid"],
        loss_weights=[1.0, training.likelihood] if training.likelihood else None,
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch,
        lr_scheduler_type="cosine",
        warmup_steps=10,
        seed=seed,
        model_init_kwargs={"dtype": "float32"},
        gradient_checkpointing=False,
        precompute_ref_log_probs=True,
        use_cpu=True,
        bf16=False,
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
        save_strategy="no",
    )
    trainer = DPOTrainer(
        model=str(start),
        args=arguments,
        train_dataset=Dataset.from_list([_row(pair) for pair in pairs]),
        processing_class=AutoTokenizer.from_pretrained(str(start)),
    )
    trainer.train()
    trainer.save_model(str(folder / "hf"))
    return _engine(folder / "hf", folder / "ct2")


def _row(pair: dict[str, Any]) -> dict[str, Any]:
    sides = {side: [{"role": "assistant", "content": pair[side]}] for side in ("chosen", "rejected")}
    return {"prompt": pair["messages"], **sides}


def _engine(trained: Path, into: Path) -> BundledEngine:
    """Return the trained weights as the bundled model's engine takes them, quantised as the shipped ones are."""
    converter = ctranslate2.converters.TransformersConverter(str(trained))
    converter.convert(str(into), quantization="int8_float32", force=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(shipped_model() / name, into / name)
    return BundledEngine(into)


def right_answers(engine: BundledEngine, asked: int, seed: int) -> list[bool]:
    """Return which of so many held-out questions are answered right at temperature 1; a seed has its own questions."""
    some = questions(asked, 10_000 + seed)
    texts = answers(engine, some, 1.0)
    return [grade_task(q.task, text).verdict == "right" for q, text in zip(some, texts, strict=True)]


@dataclass(frozen=True)
class TrainingOutcome:
    """What came of one seed: how many pairs there were, and which questions were answered right by whom."""

    seed: int
    pairs: int
    truth: dict[str, dict[str, str]]
    right: dict[str, list[bool]]

    def points(self, name: str, over: str) -> Interval:
        """Return how many points one lies above another on the same questions, with the interval over the questions."""
        return apart(self.differences(name, over))

    def differences(self, name: str, over: str) -> list[float]:
        """For each question 100 where one alone is right, -100 where the other alone is."""
        return [100.0 * (one - other) for one, other in zip(self.right[name], self.right[over], strict=True)]

    def line(self) -> list[str]:
        """Return its line of the table."""
        shares = [f"{share(self.right[name]):.1f}%" for name in ("before", *RULES)]
        better = [self.truth[name]["better"] for name in RULES]
        return [f"{self.seed}", f"{self.pairs:,}", *better, *shares, *(_shown(self.points(*two)) for two in GAINS)]


def apart(differences: Sequence[float]) -> Interval:
    """Return the mean of the differences with the interval over the questions."""
    middle, half = statistics.fmean(differences), Z * statistics.stdev(differences) / math.sqrt(len(differences))
    return Interval(middle, middle - half, middle + half)


def outcome(run: Run, seed: int, training: Training, asked: int, folder: Path) -> TrainingOutcome:
    """Train on our pairs of a run and on the naive ones, and ask before and after.

    What came of the same pairs, weights and settings before is taken from the folder, where it is kept.
    """
    ours = pairs_of(run)
    sets = dict(zip(RULES, (ours, naive_pairs_of(run, len(ours), seed)), strict=True))
    settings = digest([BundledEngine().identity(), asdict(training), asked, sets])
    kept = folder / f"seed-{seed}-{settings[:12]}.json"
    if kept.is_file():
        print(f"seed {seed}: as it was found before, kept in {kept}", flush=True)
        return TrainingOutcome(**json.loads(kept.read_bytes()))
    found = _measured(sets, seed, training, asked)
    written = kept.with_suffix(".new")
    written.write_text(json.dumps(asdict(found)), encoding="utf-8")
    os.replace(written, kept)
    return found


def _measured(sets: dict[str, list[dict[str, Any]]], seed: int, training: Training, asked: int) -> TrainingOutcome:
    right = {"before": right_answers(BundledEngine(), asked, seed)}
    for name, pairs in sets.items():
        with tempfile.TemporaryDirectory() as folder:
            right[name] = right_answers(train(pairs, training, seed, Path(folder)), asked, seed)
    truth = {name: truth_of(pairs) for name, pairs in sets.items()}
    return TrainingOutcome(seed, len(sets["ours"]), truth, right)


def _shown(points: Interval) -> str:
    return f"{points.value:+.1f} ({points.low:+.1f} to {points.high:+.1f})"


def table(outcomes: Sequence[TrainingOutcome]) -> str:
    """Return a line for each seed, and two for all: with Student's interval over the seeds, and over all questions."""
    header = ["seed", "pairs", *(f"really better, {name}" for name in RULES), "right before"]
    header += [*(f"after {name}" for name in RULES), *(f"{one} over {other}, points (95%)" for one, other in GAINS)]
    several = outcomes if len(outcomes) > 1 else []  # one seed says nothing of how seeds differ
    means = [mean([one.points(*two).value for one in several]) for two in GAINS]
    pooled = [apart([some for one in outcomes for some in one.differences(*two)]) for two in GAINS]
    gap = [""] * (len(header) - len(GAINS) - 1)
    last = [
        ["all, over the seeds", *gap, *(_shown(one) if one else "" for one in means)],
        ["all, over the questions", *gap, *map(_shown, pooled)],
    ]
    lines = [header, ["---"] * len(header), *(one.line() for one in outcomes), *last]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Measure seed by seed and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=1_200, help="instructions that hina invents for each seed")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--questions", type=int, default=6_000, help="held-out questions of each test")
    parser.add_argument(
        "--folder", type=Path, default=Path("out/dpo_gain"), help="keep results there, so that a later call can resume"
    )
    for name, value in asdict(Training()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    arguments = parser.parse_args()
    training = Training(**{name: getattr(arguments, name) for name in asdict(Training())})
    found: list[TrainingOutcome] = []
    for seed in range(arguments.seeds):
        run = run_for_pairs(arguments.folder, seed, arguments.prompts)
        found.append(outcome(run, seed, training, arguments.questions, arguments.folder))
        print(table(found), flush=True)
    print(f"trained with {training}")


if __name__ == "__main__":
    main()
