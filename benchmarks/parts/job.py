"""The job that the benchmarks of the main pipeline share: prompts, and a recipe of two responders and a judge."""

import json
import random
from pathlib import Path

import yaml

WORDS = [
    "river",
    "stone",
    "winter",
    "answer",
    "market",
    "letter",
    "garden",
    "signal",
    "bridge",
    "window",
    "measure",
    "reason",
    "number",
    "engine",
]


def write_prompts(file: Path, count: int) -> None:
    """Write that many different prompts of some dozen words, the same ones each time."""
    generator = random.Random(7)
    with file.open("w", encoding="utf-8") as out:
        for number in range(count):
            words = " ".join(generator.choices(WORDS, k=generator.randint(8, 24)))
            out.write(json.dumps({"instruction": f"Explain number {number} to a friend: {words}."}) + "\n")


def recipe_file(folder: Path, base_url: str, concurrency: int, orders: str = "random") -> Path:
    """Write the recipe of two responders and a judge that all live at one address."""

    def model(name: str) -> dict[str, object]:
        return {"kind": "openai", "base_url": base_url, "model": name, "max_concurrency": concurrency}

    recipe = {
        "name": "benchmark",
        "source": {"kind": "dataset", "path": str(folder / "prompts.jsonl")},
        "models": {name: model(name) for name in ("small", "large", "critic")},
        "respond": {"models": ["small", "large"], "sampling": {"temperature": 0.8}},
        "judge": {"model": "critic", "orders": orders},
        "publish": {"path": str(folder / "out")},
    }
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return file
