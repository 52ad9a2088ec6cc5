"""How many prompts a second pass through all stages: `python -m benchmarks.throughput`.

The model answers at once and lives in this process, so what is measured is everything else: loading, filtering,
planning, the ledger, shards, gates, Prefect, pairs and publishing; two responders and a judge, one order.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.parts.instant import InstantEngine
from benchmarks.parts.job import write_prompts
from kasasagi.blocks.engines import kinds
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.run.options import Options


def recipe_file(folder: Path) -> Path:
    """Write the recipe: one bundled model in three roles."""
    recipe = {
        "name": "throughput",
        "source": {"kind": "dataset", "path": str(folder / "prompts.jsonl")},
        "models": {"instant": {"kind": "bundled"}},
        "respond": {
            "models": [
                {"use": "instant", "label": "small", "sampling": {"temperature": 0.5}},
                {"use": "instant", "label": "large", "sampling": {"temperature": 1.0}},
            ],
        },
        "judge": {"model": "instant", "orders": "random"},
        "publish": {"path": str(folder / "out")},
    }
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return file


def measure(prompts: int) -> dict[str, float]:
    """Run the job over that many prompts; seconds count from the first row read to the dataset on disk."""
    from kasasagi.flows.runner import run_recipe

    engine = InstantEngine()
    kinds.bundled_engine = lambda model: engine
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_prompts(folder / "prompts.jsonl", prompts)
        options = Options(Workspace(folder / "workspace"))
        state = run_recipe(recipe_file(folder), options=options).state
        seconds = (state.ended or time.time()) - state.started
    return {
        "prompts": prompts,
        "seconds": round(seconds, 2),
        "prompts a second": round(prompts / seconds, 1),
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=20_000)
    print(json.dumps(measure(parser.parse_args().prompts), indent=2))


if __name__ == "__main__":
    main()
