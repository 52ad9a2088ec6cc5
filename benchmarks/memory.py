"""Whether memory grows with the rows: `python -m benchmarks.memory` runs 10,000 and 100,000 prompts and compares."""

import json
import subprocess
import sys

SIZES = (10_000, 100_000)


def main() -> None:
    """Run the throughput job at both sizes, each in a process of its own, and print peak memory."""
    figures = []
    for prompts in SIZES:
        command = [sys.executable, "-m", "benchmarks.throughput", "--prompts", str(prompts)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        figures.append(json.loads(output))
    growth = figures[-1]["peak memory, MB"] / figures[0]["peak memory, MB"]
    print(json.dumps({"runs": figures, "growth of peak memory": round(growth, 2)}, indent=2))


if __name__ == "__main__":
    main()
