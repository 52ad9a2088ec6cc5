"""Run by Axolotl's own Python: what `chat_template.default` makes of a folder that we published, as JSON lines."""

import json
import sys
from pathlib import Path


def main(folder: Path, tokenizer_folder: str) -> None:
    """Print the prompt, chosen and rejected of each row, as Axolotl hands them to its trainer."""
    from axolotl.prompt_strategies.dpo import load
    from axolotl.utils.dict import DictDefault
    from datasets import load_dataset
    from transformers import AutoTokenizer

    place = {"path": str(folder / "train.jsonl"), "ds_type": "json", "split": "train"}
    config = {
        "rl": "dpo",
        "chat_template": "tokenizer_default",
        "datasets": [{**place, "type": "chat_template.default"}],
    }
    transform, _ = load("chat_template.default", DictDefault(config), dataset_idx=0)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    rows = load_dataset("json", data_files=place["path"], split="train", cache_dir=str(folder / ".cache"))
    for row in rows:
        print("ROW", json.dumps(transform(row, tokenizer=tokenizer)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
