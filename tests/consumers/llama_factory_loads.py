"""Run by LLaMA-Factory's own Python: what its loader makes of a `dataset_dir` that we published, as JSON lines."""

import json
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

# Imported for sounds alone, and heavy: there are none in our datasets.
SOUND = types.ModuleType("torchaudio")
SOUND.__spec__ = ModuleSpec("torchaudio", None)


def main(folder: Path) -> None:
    """Print each row of the dataset as LLaMA-Factory aligns it."""
    sys.modules["torchaudio"] = SOUND
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams import DataArguments

    [attributes] = get_dataset_list(["kasasagi"], str(folder))
    data = DataArguments(dataset_dir=str(folder), dataset="kasasagi", template="default")
    model = types.SimpleNamespace(cache_dir=str(folder / ".cache"), hf_hub_token=None, trust_remote_code=False)
    training = types.SimpleNamespace(local_process_index=0, dataloader_num_workers=0)
    for row in _load_single_dataset(attributes, model, data, training):
        print("ROW", json.dumps({name: row[name] for name in ("_prompt", "_response", "_system")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
