"""A workspace that an earlier version wrote: how it is packed into a small file, and unpacked for a test."""

import io
import tarfile
from pathlib import Path

from tests.golden.cases import HERE

FILE = HERE / "expected" / "workspace.tar.xz"
PLACE = b"@FOLDER@"
"""What stands in the packed files for the folder of the job, which is another one for each test."""
TEXTS = (".json", ".jsonl", ".yaml")
LEFT_OUT = ("ws/prefect", "ws/locks", "ws/vllm", "out")
PROMPTS = 8


def pack(folder: Path) -> None:
    """Pack a job's prompts, recipe and workspace. Raises ValueError where a file that is no text names the folder."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not _left_out(file, folder)]
    with tarfile.open(FILE, "w:xz", preset=9) as archive:
        for file in files:
            content = file.read_bytes()
            if file.suffix in TEXTS or "results" in file.parts:
                content = content.replace(str(folder).encode(), PLACE)
            if str(folder).encode() in content:
                raise ValueError(f"{file} names its folder, so it cannot be packed")
            entry = tarfile.TarInfo(file.relative_to(folder).as_posix())
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _left_out(file: Path, folder: Path) -> bool:
    return any(file.is_relative_to(folder / name) for name in LEFT_OUT)


def unpack(folder: Path) -> None:
    """Unpack the job into a folder that does not exist yet."""
    with tarfile.open(FILE) as archive:
        archive.extractall(folder, filter="data")
    for file in folder.rglob("*"):
        if file.is_file() and PLACE in (content := file.read_bytes()):
            file.write_bytes(content.replace(PLACE, str(folder).encode()))
