"""The upkeep of a ledger: only what was named goes, what is needed stays, and nothing that is damaged is taken over."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.ledger import checks as ledger_check
from kasasagi.blocks.ledger import upkeep as ledger_upkeep
from kasasagi.blocks.ledger.store import INSERT, Ledger, LedgerEntry, LedgerError, open_database, row_of
from kasasagi.blocks.models.llm import Completion

ROOT = Path(__file__).parents[2]
DAY = 86_400.0
OLDER_TABLE = """
CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, at REAL NOT NULL, model TEXT NOT NULL,
    error TEXT, reply BLOB NOT NULL);
PRAGMA user_version = 1;
"""


def key(number: int) -> str:
    return digest(["key", number])


def entry(number: int, model: str = "small", **fields: object) -> LedgerEntry:
    completion = Completion(text=f"answer {number}", prompt_tokens=2, completion_tokens=3)
    return LedgerEntry(key(number), model, replace(completion, **fields))  # type: ignore[arg-type]


def fill(folder: Path, *entries: LedgerEntry, at: float = DAY) -> Path:
    Ledger(folder).close()
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection, connection:
        connection.executemany(INSERT, [row_of(one, at) for one in entries])
    return folder


def held(folder: Path, count: int = 200) -> set[int]:
    ledger = Ledger(folder)
    try:
        found = ledger.known([key(number) for number in range(count)])
    finally:
        ledger.close()
    return {number for number in range(count) if key(number) in found}


def older(folder: Path, count: int) -> Path:
    """A ledger as a version without seals wrote it."""
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        connection.executescript(OLDER_TABLE)
        rows = [row_of(entry(number), DAY)[:5] for number in range(count)]
        connection.executemany("INSERT INTO entries (key, at, model, error, reply) VALUES (?, ?, ?, ?, ?)", rows)
    return folder


def spoil(folder: Path, number: int, column: str, value: object) -> None:
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        connection.execute(f"UPDATE entries SET {column} = ? WHERE key = ?", (value, bytes.fromhex(key(number))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def test_statistics_count_answers_failures_and_tokens_by_model(folder: Path) -> None:
    fill(folder, *(entry(number) for number in range(5)), entry(5, error="context_too_long", prompt_tokens=0))
    fill(folder, entry(6, "large"), at=3 * DAY)
    found = ledger_upkeep.statistics(folder)
    assert found.entries == 7
    small, large = sorted(found.models, key=lambda model: model.entries, reverse=True)
    assert (small.model, small.answers, small.failures) == ("small", 5, {"context_too_long": 1})
    assert (small.prompt_tokens, small.completion_tokens) == (10, 18)
    assert (large.first, large.last) == (3 * DAY, 3 * DAY)
    assert found.file_bytes > 0


def test_a_ledger_that_is_not_there_is_said_and_not_made(folder: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"):
        ledger_upkeep.statistics(folder)
    assert not folder.exists()
    folder.mkdir()
    (folder / "ledger.sqlite").touch()
    with pytest.raises(LedgerError, match="there is no ledger"):
        ledger_check.check(folder)


def test_pruning_by_age_takes_the_older_ones_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_upkeep, "AT_ONCE", 7)
    fill(folder, *(entry(number) for number in range(50)))
    fill(folder, *(entry(number) for number in range(50, 80)), at=9 * DAY)
    dry = ledger_upkeep.prune(folder, 5 * DAY, None, set, dry_run=True)
    assert held(folder) == set(range(80))
    done = ledger_upkeep.prune(folder, 5 * DAY, None, set)
    assert dry == done
    assert (done.entries, done.spared) == (50, 0)
    assert held(folder) == set(range(50, 80))


def test_pruning_by_key_and_age_takes_what_is_both(folder: Path) -> None:
    fill(folder, *(entry(number) for number in range(10)))
    fill(folder, *(entry(number) for number in range(10, 20)), at=9 * DAY)
    keys = [bytes.fromhex(key(number)) for number in range(5, 15)]
    assert ledger_upkeep.prune(folder, 5 * DAY, keys, set).entries == 5
    assert held(folder) == {*range(5), *range(10, 20)}
    assert ledger_upkeep.prune(folder, None, keys, set).entries == 5
    assert held(folder) == {*range(5), *range(15, 20)}


def test_what_a_running_run_may_ask_for_stays_even_if_it_begins_meanwhile(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_upkeep, "AT_ONCE", 10)
    fill(folder, *(entry(number, "large" if number % 2 else "small") for number in range(60)))
    answers = iter([set(), {"small"}, None, {"small", "large"}, {"other"}, set()])
    done = ledger_upkeep.prune(folder, 5 * DAY, None, lambda: next(answers))
    assert held(folder) == {*range(10, 20, 2), *range(20, 40)}
    assert (done.entries, done.spared) == (35, 25)


def test_compacting_gives_room_back_while_a_run_reads_and_writes(folder: Path) -> None:
    fill(folder, *(entry(number, text="x" * 3000) for number in range(600)))
    reader = Ledger(folder)
    ledger_upkeep.prune(folder, 5 * DAY, [bytes.fromhex(key(number)) for number in range(20, 600)], set)
    kept, begun = [digest(["live", number]) for number in range(100)], threading.Event()

    def write() -> None:
        ledger = Ledger(folder)
        for each in kept:
            ledger.append([LedgerEntry(each, "m", Completion(text="y"))])
            begun.set()
        ledger.close()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(60)
    before, after = ledger_upkeep.compact(folder, alone=False)
    thread.join()
    assert after < before / 2
    assert ledger_upkeep.statistics(folder).free_bytes == 0
    assert len(reader.known(kept)) == len(kept)
    reader.close()
    assert held(folder) == set(range(20))


def test_compacting_holds_writers_up_a_few_times_and_not_once_for_each_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, *(entry(number, text="x" * 3000) for number in range(300)))
    ledger_upkeep.prune(folder, 5 * DAY, None, set)
    statements: list[str] = []

    def traced(path: Path) -> sqlite3.Connection:
        connection = open_database(path)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(ledger_upkeep, "open_database", traced)
    monkeypatch.setattr(ledger_upkeep, "PAGES_AT_ONCE", 100)
    before, after = ledger_upkeep.compact(folder, alone=True)
    pages = (before - after) // 4096
    assert pages > 250
    assert sum("incremental_vacuum" in one for one in statements) <= pages // 100 + 1


def compact(folder: Path, alone: bool) -> None:
    ledger_upkeep.compact(folder, alone)


@pytest.mark.parametrize("is_older", [False, True])
def test_two_processes_may_compact_at_once(folder: Path, is_older: bool) -> None:
    if is_older:
        older(folder, 300)
    else:
        fill(folder, *(entry(number, text="x" * 3000) for number in range(300)))
    ledger_upkeep.prune(folder, None, [bytes.fromhex(key(number)) for number in range(290)], set)
    context = multiprocessing.get_context("spawn")  # a fork would take over what other tests left running
    both = [context.Process(target=compact, args=(folder, True)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0]
    assert ledger_upkeep.statistics(folder).free_bytes == 0
    assert ledger_check.check(folder).sound
    assert held(folder, 300) == set(range(290, 300))


@pytest.mark.parametrize("alone", [True, False])
def test_an_older_ledger_is_written_anew_only_when_nobody_runs(folder: Path, alone: bool) -> None:
    older(folder, 300)
    ledger_upkeep.prune(folder, None, [bytes.fromhex(key(number)) for number in range(290)], set)
    ledger_upkeep.compact(folder, alone)
    assert (ledger_upkeep.statistics(folder).free_bytes == 0) is alone
    assert held(folder, 300) == set(range(290, 300))


def test_an_older_ledger_is_read_grows_and_gets_its_seals(folder: Path) -> None:
    older(folder, 5)
    ledger, other = Ledger(folder), Ledger(folder)
    assert len(ledger.known([key(0)])) == 1
    other.append([entry(7)])
    ledger.append([entry(8)])
    assert len(ledger.known([key(number) for number in (0, 7, 8)])) == 3
    found = ledger_check.check(folder)
    assert found.sound
    assert (found.entries, found.unsealed) == (7, 5)


SPOILT = [
    ("reply", b'{"text": "another answer", "attempts": 1}'),
    ("reply", b'{"text": "answer 3'),
    ("reply", b"[]"),
    ("reply", b"\xff"),
    ("reply", 7),
    ("model", "large"),
    ("error", "context_too_long"),
    ("seal", b"12345678"),
    ("seal", "text"),
]


@pytest.mark.parametrize(("column", "value"), SPOILT)
def test_an_entry_that_was_changed_is_never_served(folder: Path, column: str, value: object) -> None:
    fill(folder, *(entry(number) for number in range(6)))
    spoil(folder, 3, column, value)
    ledger = Ledger(folder)
    with pytest.raises(LedgerError, match=r"damaged entry.*--repair"):
        ledger.known([key(number) for number in range(6)])
    assert len(ledger.known([key(number) for number in (0, 1, 2, 4, 5)])) == 5
    ledger.close()
    found = ledger_check.check(folder)
    assert (found.sound, found.damaged_entries, found.repaired) == (False, 1, False)
    assert key(3) in found.damaged[0]
    assert ledger_check.check(folder, repair=True).repaired
    assert ledger_check.check(folder).sound
    assert held(folder) == {0, 1, 2, 4, 5}


@pytest.mark.parametrize(
    "reply", [b"{}", b'{"text": 5}', b'{"text": "a", "attempts": "1"}', b'{"text": "a", "more": 1}', b'{"text": null}']
)
def test_an_entry_without_a_seal_must_at_least_be_an_answer(folder: Path, reply: bytes) -> None:
    spoil(older(folder, 3), 1, "reply", reply)
    assert ledger_check.check(folder).damaged_entries == 1
    with pytest.raises(LedgerError, match="damaged entry"):
        held(folder)


def test_an_import_takes_what_is_new_whole_and_better(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    fill(ours, entry(0, text="ours"), entry(1, error="context_too_long"), entry(2))
    fill(theirs, entry(0, text="theirs"), entry(1), entry(3), entry(4), at=5 * DAY)
    spoil(theirs, 4, "reply", b'{"text": "wrong"}')
    with ledger_upkeep.open_read_only(theirs / "ledger.sqlite") as other:
        done = ledger_check.import_ledger(ours, other, theirs / "ledger.sqlite")
        again = ledger_check.import_ledger(ours, other, theirs / "ledger.sqlite")
    assert (done.taken, done.known, done.damaged, done.unreadable) == (2, 1, 1, False)
    assert (again.taken, again.known) == (0, 3)
    found = Ledger(ours).known([key(number) for number in range(5)])
    texts = {number: found[key(number)].text for number in range(5) if key(number) in found}
    assert texts == {0: "ours", 1: "answer 1", 2: "answer 2", 3: "answer 3"}
    assert found[key(1)].error is None
    assert max(model.last for model in ledger_upkeep.statistics(ours).models) == 5 * DAY, "dates are kept"


def test_an_older_ledger_is_imported_and_sealed(tmp_path: Path) -> None:
    theirs = older(tmp_path / "theirs", 40) / "ledger.sqlite"
    with ledger_upkeep.open_read_only(theirs) as other:
        ledger_check.import_ledger(tmp_path / "ours", other, theirs)
    assert ledger_check.check(tmp_path / "ours").unsealed == 0
    assert held(tmp_path / "ours") == set(range(40))


@pytest.mark.parametrize("content", [b"", b"no database at all, and never was one" * 100])
def test_what_is_no_ledger_is_not_imported(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(content)
    with pytest.raises(LedgerError, match=r"is not a ledger|cannot be read"), ledger_upkeep.open_read_only(file):
        pass


def test_a_ledger_of_a_later_version_is_neither_imported_nor_touched(tmp_path: Path) -> None:
    file = fill(tmp_path / "theirs", entry(1)) / "ledger.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 2")
    works: list[Callable[[], object]] = [
        lambda: ledger_upkeep.open_read_only(file).__enter__(),
        lambda: ledger_check.check(file.parent, repair=True),
        lambda: ledger_upkeep.compact(file.parent, alone=True),
        lambda: ledger_upkeep.prune(file.parent, 5 * DAY, None, set),
        lambda: ledger_upkeep.statistics(file.parent),
    ]
    whole = file.read_bytes()
    for work in works:
        with pytest.raises(LedgerError, match="format 2"):
            work()
    assert file.read_bytes() == whole


def test_reading_another_ledger_leaves_nothing_beside_it_and_sees_a_run_that_begins(tmp_path: Path) -> None:
    theirs = fill(tmp_path / "theirs", *(entry(number) for number in range(3)))
    with ledger_upkeep.open_read_only(theirs / "ledger.sqlite") as other:
        assert len(list(ledger_check._rows(other, theirs / "ledger.sqlite"))) == 3
        ledger = Ledger(theirs)
        ledger.append([entry(3)])
        ledger._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert len(list(ledger_check._rows(other, theirs / "ledger.sqlite"))) == 4
        ledger.close()
    assert [file.name for file in theirs.iterdir()] == ["ledger.sqlite"]


LOOKER = """
import os, sys
from pathlib import Path
from kasasagi.blocks.ledger import checks as ledger_check
from kasasagi.blocks.ledger import upkeep as ledger_upkeep
from kasasagi.blocks.ledger.store import LedgerError
if os.geteuid() == 0:
    os.setuid(65534)
folder = Path(sys.argv[1])
print(ledger_upkeep.statistics(folder).entries, ledger_check.check(folder).entries)
try:
    ledger_upkeep.compact(folder, alone=True)
except LedgerError as error:
    print(error)
"""


@pytest.fixture
def out_in_the_open() -> Iterator[Path]:
    """A folder that everybody may look into, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for place in (folder, *folder.rglob("*")):
        place.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("is_live", [False, True])
def test_a_ledger_that_may_only_be_read_is_looked_at_and_checked(out_in_the_open: Path, is_live: bool) -> None:
    folder = fill(out_in_the_open / "ledger", *(entry(number) for number in range(7)))
    live = Ledger(folder)
    if is_live:
        live.append([entry(7)])
    else:
        live.close()
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    out = subprocess.run(
        [sys.executable, "-c", LOOKER, str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        cwd=ROOT,
        check=True,
    ).stdout.splitlines()
    count = 8 if is_live else 7
    assert out[0] == f"{count} {count}"
    assert len(out) == 2
    assert "cannot be" in out[1]
    live.close()


IMPORTER = """
import sys
from pathlib import Path
from kasasagi.blocks.ledger import checks as ledger_check
from kasasagi.blocks.ledger import upkeep as ledger_upkeep
ledger_check.AT_ONCE = 5
ledger_check.time.sleep = lambda seconds: print("taken", flush=True)
theirs = Path(sys.argv[2]) / "ledger.sqlite"
with ledger_upkeep.open_read_only(theirs) as other:
    ledger_check.import_ledger(Path(sys.argv[1]), other, theirs)
"""


def test_an_import_that_was_killed_is_done_again(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", fill(tmp_path / "theirs", *(entry(number) for number in range(150)))
    child = subprocess.Popen(
        [sys.executable, "-c", IMPORTER, str(ours), str(theirs)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        cwd=ROOT,
    )
    assert child.stdout is not None
    for _ in range(3):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert len(held(ours)) >= 15
    with ledger_upkeep.open_read_only(theirs / "ledger.sqlite") as other:
        ledger_check.import_ledger(ours, other, theirs / "ledger.sqlite")
    assert held(ours) == set(range(150))
    assert ledger_check.check(ours).sound
