"""A disk without room: the ledger stops in one sentence, and nothing acknowledged is lost."""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.ledger import checks as ledger_check
from kasasagi.blocks.ledger import upkeep as ledger_upkeep
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry, LedgerError
from kasasagi.blocks.models.llm import Completion
from tests.blocks.ledger_content import COUNT, FILES, entries, in_child, key, served


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, bool]]:
    """A disk of 1 MB, mounted where this process may do that; else a folder, to be filled under a file size limit."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    mounted = subprocess.run(options, capture_output=True, check=False).returncode == 0
    yield place, mounted
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(work: Callable[[], None], mounted: bool) -> None:
    """Do some work that meets a full disk; ends with 7 where that gave one sentence."""
    if not mounted:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    try:
        work()
    except LedgerError as error:
        os._exit(7 if "cannot be" in str(error) and "\n" not in str(error) else 8)


def test_a_full_disk_stops_the_writer_and_loses_nothing(small_disk: tuple[Path, bool]) -> None:
    place, mounted = small_disk
    folder, noted = place / "ledger", place.parent / "noted"

    def append() -> None:
        ledger = Ledger(folder)
        for number in range(2_000):
            ledger.append([LedgerEntry(key(number), "model", Completion(text="x" * 2_000 + f"{number}"))])
            with noted.open("a") as file:
                file.write(f"{number}\n")

    assert in_child(fill, append, mounted) == 7
    acknowledged = len(noted.read_text().split())
    assert acknowledged > 20
    rescued = place.parent / "rescued"
    shutil.copytree(folder, rescued)
    ledger = Ledger(rescued)
    known = ledger.known([key(number) for number in range(2_000)])
    assert acknowledged <= len(known) <= acknowledged + 1
    assert all(known[key(number)].text.endswith(f"x{number}") for number in range(acknowledged))
    ledger.append(entries(5_000, 5_001))
    ledger.close()
    assert ledger_check.check(rescued).sound


def test_a_full_disk_during_an_import_leaves_the_ledger_as_it_was(
    small_disk: tuple[Path, bool], tmp_path: Path
) -> None:
    place, mounted = small_disk
    folder = place / "ledger"
    big = Ledger(tmp_path / "big")
    big.append([LedgerEntry(digest(["big", n]), "model", Completion(text="y" * 3000)) for n in range(1_000)])
    big.close()
    ledger = Ledger(folder)
    ledger.append(entries(0, COUNT))
    ledger.close()

    def take() -> None:
        with ledger_upkeep.open_read_only(tmp_path / "big" / FILES[0]) as other:
            ledger_check.import_ledger(folder, other, tmp_path / "big" / FILES[0])

    assert in_child(fill, take, mounted) == 7
    assert served(folder) == set(range(COUNT))
    rescued = tmp_path / "rescued"
    shutil.copytree(folder, rescued)
    assert ledger_check.check(rescued).sound


def compacted(folder: Path) -> None:
    ledger_upkeep.compact(folder, alone=True)


def pruned(folder: Path) -> None:
    ledger_upkeep.prune(folder, None, [bytes.fromhex(key(number)) for number in range(40)], set)


def repaired(folder: Path) -> None:
    ledger_check.check(folder, repair=True)


@pytest.mark.parametrize("work", [compacted, pruned, repaired])
def test_a_disk_without_any_room_stops_the_upkeep_in_one_sentence(
    small_disk: tuple[Path, bool], tmp_path: Path, work: Callable[[Path], None]
) -> None:
    place, mounted = small_disk
    folder = place / "ledger"
    ledger = Ledger(folder)
    ledger.append([LedgerEntry(digest(["big", n]), "model", Completion(text="x" * 3000)) for n in range(40)])
    ledger.append(entries(0, COUNT))
    ledger._connection.execute("DELETE FROM entries WHERE length(reply) > 2000")
    ledger._connection.execute("UPDATE entries SET model = 'another' WHERE id = 41")
    ledger.close()

    def without_room() -> None:
        if mounted:
            take_all_room(place / "filler")
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        work(folder)

    assert in_child(fill, without_room, mounted) == 7
    (place / "filler").unlink(missing_ok=True)
    rescued = tmp_path / "rescued"
    shutil.copytree(folder, rescued)
    assert ledger_check.check(rescued, repair=True).repaired
    assert served(rescued) == set(range(1, COUNT))


def take_all_room(file: Path) -> None:
    with file.open("wb", buffering=0) as out, suppress(OSError):
        while out.write(b"x" * 4096):
            pass
