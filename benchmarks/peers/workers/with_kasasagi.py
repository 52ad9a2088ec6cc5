"""The job with kasasagi: its command line in a process of its own, ledger, gates and Prefect as they always are."""

import json
import subprocess
import sys
from pathlib import Path


def main(job: dict) -> None:
    """Write the recipe and run it; the judge's words go where a recipe has room for them."""
    folder = Path(job["folder"])
    rows = [json.dumps({"instruction": prompt}) + "\n" for prompt in job["prompts"]]
    (folder / "prompts.jsonl").write_text("".join(rows), encoding="utf-8")
    place = {"kind": "openai", "base_url": job["base_url"], "max_concurrency": job["slots"]}
    recipe = {
        "name": "peers",
        "source": {"kind": "dataset", "path": str(folder / "prompts.jsonl")},
        "models": {name: {**place, "model": name} for name in ("small", "large", "critic")},
        "respond": {"models": ["small", "large"]},
        "judge": {"model": "critic", "orders": "random", "aspects": [job["aspect"]]},
        "gates": {"on_fail": "warn"},
        "publish": {"path": str(folder / "out")},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "flows.cli", "run", str(folder / "recipe.yaml"), "-w", str(folder / "ws")]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
