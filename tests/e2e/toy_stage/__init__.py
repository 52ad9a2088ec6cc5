"""A built-in stage as a contributor would add it, and the changes that it needs outside its own folder."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = Path(__file__).parent / "gist"
CHANGES: dict[str, list[tuple[str, str]]] = {
    "tasks/pipeline.py": [
        ("from kasasagi.tasks.judge.stage import JUDGE\n", "from kasasagi.tasks.gist.stage import GIST\n"),
        ("    JUDGE,\n", "    GIST,\n"),
    ],
    "tasks/recipe.py": [
        (
            "from kasasagi.tasks.judge.config import JudgeConfig\n",
            "from kasasagi.tasks.gist.config import GistConfig\n",
        ),
        (
            "    judge: JudgeConfig | None = Field(\n",
            '    gist: GistConfig | None = Field(None, description="Have a model sum up each prompt.")\n',
        ),
    ],
    "flows/preference.py": [
        ("from kasasagi.tasks.judge.task import judge\n", "from kasasagi.tasks.gist.task import gist\n"),
        ("judge, format_dpo]\n", "gist, "),
    ],
}
"""By file, what is inserted in front of a text that stands there once."""


def kasasagi_with_gist(folder: Path) -> Path:
    """Copy the package, add the stage, and return the folder to import kasasagi from."""
    names = ("blocks", "flows", "tasks", "hina", "src", "recipes", "models", "pyproject.toml")
    for name in names:
        source = ROOT / name
        if source.is_dir() and name != "models":
            shutil.copytree(source, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).symlink_to(source)
    shutil.copytree(PACKAGE, folder / "tasks" / "gist", ignore=shutil.ignore_patterns("__pycache__"))
    for file, changes in CHANGES.items():
        text = (folder / file).read_text(encoding="utf-8")
        for before, new in changes:
            assert text.count(before) == 1, f"{file}: {before!r}"
            text = text.replace(before, new + before)
        (folder / file).write_text(text, encoding="utf-8")
    return folder / "src"
