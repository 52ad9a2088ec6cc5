"""Faults at every write of the ledger: nothing acknowledged is lost, nothing wrong served, one sentence given."""

import os
import shutil
import signal
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.ledger import checks as ledger_check
from kasasagi.blocks.ledger import upkeep as ledger_upkeep
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry, LedgerError, open_database
from kasasagi.blocks.models.llm import Completion
from tests.blocks.ledger_content import COUNT, FILES, answer, entries, in_child, key, served


class Dying:
    """A connection whose process is killed before or after a statement."""

    def __init__(self, connection: sqlite3.Connection, statement: str, nth: int, after: bool) -> None:
        self._connection, self._statement, self._left, self._after = connection, statement, nth, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self._deadly(statement, lambda: self._connection.execute(statement, *values))

    def executescript(self, statement: str) -> sqlite3.Cursor:
        return self._deadly(statement, lambda: self._connection.executescript(statement))

    def _deadly(self, statement: str, work: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        mine = statement.startswith(self._statement)
        self._left -= mine
        if mine and not self._left and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = work()
        if mine and not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor


def append_and_die(folder: Path, statement: str, after: bool) -> None:
    ledger = Ledger(folder)
    ledger.append(entries(0, 50))
    ledger._connection = Dying(ledger._connection, statement, 1, after)  # type: ignore[assignment]
    ledger.append(entries(50, 100))


@pytest.mark.parametrize(
    ("statement", "after", "kept"), [("BEGIN", True, 50), ("COMMIT", False, 50), ("COMMIT", True, 100)]
)
def test_a_kill_around_a_commit_keeps_all_of_it_or_none(tmp_path: Path, statement: str, after: bool, kept: int) -> None:
    assert in_child(append_and_die, tmp_path, statement, after) == -signal.SIGKILL
    assert served(tmp_path) == set(range(kept))
    assert ledger_check.check(tmp_path).sound
    Ledger(tmp_path).append(entries(100, 110))
    assert served(tmp_path) == {*range(kept), *range(100, 110)}


def compact_and_die(folder: Path, nth: int) -> None:
    real = ledger_upkeep.open_database
    ledger_upkeep.open_database = lambda path: Dying(real(path), "PRAGMA incremental_vacuum", nth, True)  # type: ignore
    ledger_upkeep.PAGES_AT_ONCE = 3
    ledger_upkeep.compact(folder, alone=True)


@pytest.mark.parametrize("nth", [1, 2, 5])
def test_a_kill_during_compaction_loses_nothing(tmp_path: Path, nth: int) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(entries(0, COUNT))
    ledger.append([LedgerEntry(digest(["big", n]), "model", Completion(text="x" * 3000)) for n in range(60)])
    ledger.close()
    ledger_upkeep.prune(tmp_path, None, [bytes.fromhex(digest(["big", n])) for n in range(60)], set)
    assert in_child(compact_and_die, tmp_path, nth) == -signal.SIGKILL
    assert served(tmp_path) == set(range(COUNT))
    assert ledger_check.check(tmp_path).sound
    ledger_upkeep.compact(tmp_path, alone=True)
    assert ledger_upkeep.statistics(tmp_path).free_bytes == 0
    assert served(tmp_path) == set(range(COUNT))


@contextmanager
def copied(folder: Path, into: Path) -> Iterator[Path]:
    """A copy of a ledger's files, as a power cut leaves them."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    for name in FILES:
        if (folder / name).exists():
            shutil.copyfile(folder / name, into / name)
    yield into
    shutil.rmtree(into)


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A ledger in the middle of a commit whose frames are half in the log, and how long the log was before it."""
    folder = tmp_path_factory.mktemp("cut-off")
    ledger = Ledger(folder)
    for start in range(0, 100, 10):
        ledger.append(entries(start, start + 10))
    acknowledged = (folder / FILES[1]).stat().st_size
    connection = sqlite3.connect(folder / FILES[0], isolation_level=None)
    connection.execute("PRAGMA cache_size = 2")
    connection.execute("BEGIN IMMEDIATE")
    for number in range(100, COUNT):
        connection.execute(
            "INSERT INTO entries (key, at, model, reply) VALUES (?, 0, 'model', ?)",
            (bytes.fromhex(key(number)), b'{"text": "half"}' + b" " * 3000),
        )
    assert (folder / FILES[1]).stat().st_size > acknowledged, "some frames of the open commit are in the log"
    copy = tmp_path_factory.mktemp("as-it-was")
    for name in FILES:
        shutil.copyfile(folder / name, copy / name)
    connection.execute("ROLLBACK")
    connection.close()
    ledger.close()
    return copy, acknowledged


@given(share=st.floats(0, 1), garbage=st.binary(max_size=64))
@settings(max_examples=12)
def test_a_torn_end_of_the_log_loses_nothing_that_was_acknowledged(
    cut_off: tuple[Path, int], tmp_path_factory: pytest.TempPathFactory, share: float, garbage: bytes
) -> None:
    folder, acknowledged = cut_off
    with copied(folder, tmp_path_factory.getbasetemp() / "torn") as torn:
        log = torn / FILES[1]
        data = log.read_bytes()
        log.write_bytes(data[: acknowledged + int(share * (len(data) - acknowledged))] + garbage)
        assert served(torn) == set(range(100))
        Ledger(torn).append(entries(100, 105))
        assert served(torn) == set(range(105))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of which a part is folded in, and a part still in its log."""
    folder = tmp_path_factory.mktemp("whole")
    ledger = Ledger(folder)
    ledger.append(entries(0, 80))
    ledger._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for start in range(80, COUNT, 5):
        ledger.append(entries(start, start + 5))
    copy = tmp_path_factory.mktemp("whole-copy")
    for name in FILES:
        shutil.copyfile(folder / name, copy / name)
    ledger.close()
    return copy


Spoil = tuple[str, float, int]
SPOILS = st.lists(st.tuples(st.sampled_from(FILES), st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=6)


def spoil(folder: Path, spoils: list[Spoil]) -> None:
    for name, place, change in spoils:
        data = bytearray((folder / name).read_bytes())
        data[int(place * (len(data) - 1))] ^= change
        (folder / name).write_bytes(data)


def check_plain_message(error: LedgerError, folder: Path) -> None:
    """One sentence that names the file."""
    assert str(folder) in str(error)
    assert "\n" not in str(error)


def assert_honest(folder: Path) -> None:
    """Each key by itself: the right answer, none, or one sentence; and checking and rescuing find no fault of ours."""
    try:
        ledger = Ledger(folder)
    except LedgerError as error:
        check_plain_message(error, folder)
        assert_rescued(folder)
        return
    for number in range(COUNT):
        try:
            found = ledger.known([key(number)])
        except LedgerError as error:
            check_plain_message(error, folder)
        else:
            assert found in ({}, {key(number): answer(number)})
    ledger.close()
    assert_rescued(folder)


def assert_rescued(folder: Path) -> None:
    rescued = folder / "rescued"
    with suppress(LedgerError):
        ledger_check.check(folder)
    try:
        with ledger_check.open_to_rescue(folder / FILES[0], rescued) as other:
            ledger_check.import_ledger(rescued, other, folder / FILES[0])
    except LedgerError as error:
        check_plain_message(error, folder)
        return
    assert [file.name for file in rescued.iterdir()] == [FILES[0]]
    served(rescued)
    assert ledger_check.check(rescued).sound


@given(spoils=SPOILS)
@settings(max_examples=20)
@example(spoils=[("ledger.sqlite-wal", 0.5, 255)])
@example(spoils=[("ledger.sqlite", 0.0, 255)])
def test_bytes_that_changed_on_disk_are_never_served(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, spoils: list[Spoil]
) -> None:
    with copied(whole, tmp_path_factory.getbasetemp() / "spoilt") as spoilt:
        spoil(spoilt, spoils)
        assert_honest(spoilt)


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose files no disk must write, where the system has one."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else tmp_path_factory.getbasetemp()
    ) as name:
        yield Path(name)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@given(spoils=SPOILS)
@settings(max_examples=3_000)
def test_bytes_that_changed_on_disk_are_never_served_however_often(
    whole: Path, in_memory: Path, spoils: list[Spoil]
) -> None:
    with copied(whole, in_memory / "spoilt") as spoilt:
        spoil(spoilt, spoils)
        assert_honest(spoilt)


@pytest.mark.parametrize("name", FILES)
def test_a_word_that_changed_in_a_reply_is_never_served(whole: Path, tmp_path: Path, name: str) -> None:
    with copied(whole, tmp_path / "reworded") as reworded:
        data = (reworded / name).read_bytes()
        assert data.count(b"answer ") > 20
        (reworded / name).write_bytes(data.replace(b"answer ", b"Answer "))
        assert_honest(reworded)


@given(name=st.sampled_from(FILES), share=st.floats(0, 1))
@settings(max_examples=12)
def test_a_file_that_was_cut_serves_nothing_wrong(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, name: str, share: float
) -> None:
    with copied(whole, tmp_path_factory.getbasetemp() / "cut") as cut:
        data = (cut / name).read_bytes()
        (cut / name).write_bytes(data[: int(share * len(data))])
        if name == FILES[1]:
            assert served(cut) >= set(range(80)), "what was folded in is there whatever became of the log"
        assert_honest(cut)


def test_a_damaged_page_is_named_and_all_others_are_rescued(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    ledger = Ledger(broken)
    ledger.append([LedgerEntry(key(n), "model", Completion(text=f"{n}" + "x" * 1500)) for n in range(400)])
    ledger.close()
    with (broken / FILES[0]).open("r+b") as file:
        file.seek(40 * 4096)
        file.write(os.urandom(4096))
    found = ledger_check.check(broken)
    assert found.structure
    assert not found.sound
    with ledger_upkeep.open_read_only(broken / FILES[0]) as other:
        done = ledger_check.import_ledger(tmp_path / "rescued", other, broken / FILES[0])
    assert done.unreadable
    assert 380 <= done.taken < 400
    assert ledger_check.check(tmp_path / "rescued").sound


def test_a_ledger_that_was_cut_off_is_rescued_as_far_as_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "cut" / FILES[0]
    ledger = Ledger(file.parent)
    ledger.append([LedgerEntry(key(n), "model", Completion(text=f"{n}" + "x" * 1500)) for n in range(400)])
    ledger.close()
    os.truncate(file, file.stat().st_size // 2)
    left = file.read_bytes()
    with ledger_check.open_to_rescue(file, tmp_path / "rescued") as other:
        done = ledger_check.import_ledger(tmp_path / "rescued", other, file)
    assert done.unreadable
    assert 150 < done.taken < 220
    assert ledger_check.check(tmp_path / "rescued").sound
    assert [one.name for one in (tmp_path / "rescued").iterdir()] == [FILES[0]]
    assert file.read_bytes() == left


@pytest.mark.parametrize("pages", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00"])
def test_a_beginning_that_lies_about_the_length_is_no_trouble(tmp_path: Path, pages: bytes) -> None:
    file = tmp_path / FILES[0]
    ledger = Ledger(tmp_path)
    ledger.append(entries(0, COUNT))
    ledger.close()
    data = file.read_bytes()
    file.write_bytes(data[:28] + pages + data[32:])
    assert_rescued(tmp_path)


def test_a_number_beyond_all_bounds_is_passed_over_and_not_counted_up_to(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(entries(0, COUNT))
    ledger._connection.execute("UPDATE entries SET id = ? WHERE id = 60", (2**62,))
    ledger.close()
    assert ledger_check.check(tmp_path).entries == COUNT
    assert_rescued(tmp_path)
    assert ledger_upkeep.prune(tmp_path, 0.0, None, set).entries == 0


@pytest.mark.parametrize("round_", range(5))
def test_a_new_ledger_may_be_opened_by_many_at_once(tmp_path: Path, round_: int) -> None:
    barrier = threading.Barrier(12)

    def open_it(number: int) -> None:
        barrier.wait()
        open_database(tmp_path / "ledger.sqlite").close()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(open_it, range(12)))
