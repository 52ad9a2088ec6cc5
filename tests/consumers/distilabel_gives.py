"""Run by distilabel's own Python: what its FormatChatGenerationDPO gives for the rows of a folder of ours."""

import json
import sys
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    """Print, for each of our rows, the row that distilabel's own step makes of the same conversation."""
    from distilabel.steps.formatting.dpo import FormatChatGenerationDPO

    step: Any = FormatChatGenerationDPO()
    step.load()
    for line in (folder / "train.jsonl").read_text(encoding="utf-8").splitlines():
        ours = json.loads(line)
        item = {name: ours[name] for name in ("messages", "generations", "generation_models", "ratings")}
        [made] = next(step.process([item]))
        print("ROW", json.dumps({name: made[name] for name in step.outputs}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
