"""Run by Together's own Python: what its check of files for fine-tuning says of each JSONL file in a folder."""

import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Print of each file its name, the formats that its first line has the columns of, and the report on it."""
    from together.lib.constants import JSONL_REQUIRED_COLUMNS_MAP
    from together.lib.utils.files import check_file

    for path in sorted(folder.glob("*.jsonl")):
        columns = set(json.loads(path.read_text(encoding="utf-8").splitlines()[0]))
        formats = [form.value for form, needed in JSONL_REQUIRED_COLUMNS_MAP.items() if columns >= set(needed)]
        print("ROW", json.dumps({"name": path.stem, "formats": formats, **check_file(path, purpose="fine-tune")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
