"""The job with kasasagi: its command line in a process of its own, ledger, gates and Prefect as they always are."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb


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
        "filter": {"rules": [{"min_chars": job["least_chars"]}] if job["least_chars"] else []},
        "respond": {"models": ["small", "large"]},
        "judge": {"model": "critic", "orders": "random", "aspects": [job["aspect"]]},
        "gates": {"on_fail": "warn"},
        "publish": {"path": str(folder / "out")},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "kasasagi.flows.cli.app",
        "run",
        str(folder / "recipe.yaml"),
        "-w",
        str(folder / "ws"),
    ]
    if code := subprocess.run(command, check=False).returncode:
        sys.exit(code)
    (folder / "out.json").write_text(json.dumps(judged(folder / "ws")), encoding="utf-8")


def judged(workspace: Path) -> list[tuple[str, ...]]:
    """Return the prompts whose answers the latest run has judged."""
    latest = max((workspace / "runs").glob("*/run.duckdb"), key=lambda file: file.stat().st_mtime)
    with duckdb.connect(str(latest), read_only=True) as connection:
        return connection.execute("SELECT DISTINCT prompt_id FROM ratings").fetchall()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
