"""How long rules, exact and near duplicates take on many instructions: `python -m benchmarks.filters`.

`python -m benchmarks.filters --compare PYTHON` compares near duplicates with datasketch and rensa, which that
interpreter has: `python -m venv others && others/bin/pip install datasketch rensa`, PYTHON is others/bin/python.
A million texts take about seven minutes and 4.5 GB of memory, most of both for datasketch; -n 100000 takes a tenth.

The instructions are made up, alternately English and Japanese: a tenth are exact duplicates of earlier ones, a tenth
are earlier ones with one word changed, one in a hundred breaks a rule.
"""

import argparse
import json
import random
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.tables import PROMPTS
from kasasagi.tasks.filter import FilterConfig, filter_prompts
from kasasagi.tasks.filter.duplicates.keys import fold
from kasasagi.tasks.filter.duplicates.minhash import Banding, band_keys, signatures

RULES: tuple[str | dict[str, Any], ...] = (
    "finished",
    {"min_chars": 10},
    {"max_chars": 2000},
    "ends_as_a_sentence",
    {"language": ["en", "ja"]},
    "repetition",
    "template_leak",
    "answer_inside",
    "private_life",
    "missing_context",
    "odd_script",
    "personal_data",
)
OPENINGS = (
    ("Write a short story about", "Explain the difference between", "Give me five ideas for", "How can I improve"),
    (
        "次の点について説明してください、",
        "初心者向けに教えてください、",
        "例を三つ挙げてください、",
        "計画を立ててください、",
    ),
)
ENDINGS = (
    (".", "?", " in simple words.", " for a class of students."),
    ("です。", "のことです。", "を詳しく。", "ですか？"),
)
SYLLABLES = (
    tuple(re.findall("..", "katomenesobavirugupelodramifacewetishaouzebyhujoexthaquiglobrisnykeflap")),
    "山川田雨花木本空海町店料理旅行計画問題方法技術社会経済きのみさかたなりえいうをれるすでにがはもとカメラテスト",
)
LEAK = "<|im_end|>"
WORDS = 20_000
REMEMBERED = 50_000
SIGNED_AT_ONCE = 10_000


def vocabulary(randomness: random.Random, japanese: int) -> list[str]:
    """Words of some syllables, common ones first."""
    return ["".join(randomness.choices(SYLLABLES[japanese], k=randomness.randint(2, 4))) for _ in range(WORDS)]


def instructions(count: int, seed: int = 1) -> Iterator[str]:
    """Made-up instructions in a fixed order."""
    randomness = random.Random(seed)
    known = [vocabulary(randomness, japanese) for japanese in (0, 1)]
    remembered: list[tuple[int, list[str]]] = []
    for number in range(count):
        kind = randomness.random()
        if kind < 0.2 and remembered:
            japanese, words = randomness.choice(remembered)
            if kind < 0.1:
                words = list(words)
                words[randomness.randrange(1, len(words) - 1)] = randomness.choice(known[japanese])
        else:
            japanese = number % 2
            body = [known[japanese][int(WORDS * randomness.random() ** 2)] for _ in range(randomness.randint(8, 20))]
            words = [randomness.choice(OPENINGS[japanese]), *body, randomness.choice(ENDINGS[japanese])]
            if len(remembered) < REMEMBERED:
                remembered.append((japanese, words))
        yield ("" if japanese else " ").join(words) + (LEAK if kind > 0.99 else "")


def write_instructions(path: Path, count: int) -> int:
    """Write a table of prompts, and count its characters."""
    characters = 0
    rows: list[dict[str, Any]] = []
    with pq.ParquetWriter(path, PROMPTS) as writer:
        for position, text in enumerate(instructions(count)):
            messages = [{"role": "user", "content": text}]
            row = {"prompt_id": prompt_id(messages), "messages": messages, "instruction": text, "source": "made up"}
            rows.append({**row, "position": position, "finish_reason": "stop"})
            characters += len(text)
            if len(rows) == 10_000 or position + 1 == count:
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=PROMPTS))
                rows.clear()
    return characters


def write_texts(prompts: Path, texts: Path) -> None:
    """Write the instructions of a table as others read them: folded, one a line; batch by batch, to measure no list."""
    with texts.open("w", encoding="utf-8") as file:
        for batch in pq.ParquetFile(prompts).iter_batches(10_000, columns=["instruction"]):
            file.writelines(f"{fold(text)}\n" for text in batch.column(0).to_pylist())


def timed(config: dict[str, Any], prompts: Path, into: Path) -> tuple[dict[str, float], int]:
    """Seconds (by the clock, and of the processors) and survivors of one filter."""
    started, used = time.perf_counter(), time.process_time()
    result = filter_prompts(FilterConfig.model_validate(config), prompts, into, into)
    spent = time.perf_counter() - started, time.process_time() - used
    return dict(zip(("seconds", "CPU seconds"), (round(one, 1) for one in spent), strict=True)), result.rows_out


def compared(count: int, near: float, shingle: int, python: str) -> list[dict[str, Any]]:
    """Near duplicates by this project and by datasketch and rensa used plainly, on the same texts.

    python is the interpreter of a virtual environment that has both; each runs in a process of its own.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_instructions(folder / "all.parquet", count)
        write_texts(folder / "all.parquet", folder / "texts")
        dedup = {"exact": False, "near": near, "shingle": shingle}
        spent, kept = timed({"dedup": dedup}, folder / "all.parquet", folder / "near")
        found = [{"library": "kasasagi", "texts": count, "kept": kept, **spent, "peak memory, MB": peak()}]
        found[0]["CPU seconds of signatures"] = signing(folder / "texts", near, shingle)
        for library in ("datasketch", "rensa"):
            script = Path(__file__).with_name("parts") / "filters_others.py"
            command = [python, str(script), library, str(folder / "texts"), "--near", str(near)]
            done = subprocess.run([*command, "--shingle", str(shingle)], check=True, capture_output=True, text=True)
            found.append({"library": library, **json.loads(done.stdout)})
    return found


def signing(texts: Path, near: float, shingle: int) -> float:
    """Return the CPU seconds that the signatures of the texts of a file take, with the keys of their bands."""
    banding, used = Banding.for_threshold(near), time.process_time()
    lines = texts.read_text(encoding="utf-8").splitlines()
    for start in range(0, len(lines), SIGNED_AT_ONCE):
        some = lines[start : start + SIGNED_AT_ONCE]
        band_keys(signatures(some, np.zeros(len(some), np.uint64), shingle, banding.size), banding)
    return round(time.process_time() - used, 1)


def measure(count: int, near: float, shingle: int) -> dict[str, Any]:
    """Return the rules with exact duplicates first, then near duplicates among what these leave."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        characters = write_instructions(folder / "all.parquet", count)
        (folder / "ruled").mkdir()
        spent_rules, ruled = timed({"rules": list(RULES)}, folder / "all.parquet", folder / "ruled")
        peak_rules = peak()
        dedup = {"exact": False, "near": near, "shingle": shingle}
        spent_near, apart = timed({"dedup": dedup}, folder / "ruled" / "prompts.parquet", folder / "near")
    return {
        "instructions": count,
        "characters each": round(characters / count, 1),
        "after rules and exact duplicates": ruled,
        "after near duplicates": apart,
        "rules and exact duplicates": spent_rules,
        "near duplicates": spent_near,
        "peak memory with rules, MB": peak_rules,
        "peak memory, MB": peak(),
    }


def peak() -> int:
    """Return the most memory that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--instructions", type=int, default=1_000_000)
    parser.add_argument("--near", type=float, default=0.7)
    parser.add_argument("--shingle", type=int, default=3)
    parser.add_argument("--compare", metavar="PYTHON", help="compare with datasketch and rensa of that interpreter")
    arguments = parser.parse_args()
    if arguments.compare:
        rows = compared(arguments.instructions, arguments.near, arguments.shingle, arguments.compare)
        print(json.dumps(rows, indent=2))
        return
    print(json.dumps(measure(arguments.instructions, arguments.near, arguments.shingle), indent=2))


if __name__ == "__main__":
    main()
