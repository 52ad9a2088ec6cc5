"""The ledger as a run meets it: what is kept stays kept, is never replaced, and is shared by processes that may die."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry, LedgerError
from kasasagi.blocks.models.llm import Completion

ROOT = Path(__file__).parents[2]
ANSWER = Completion(
    text="鵲\u0000\U0001f426",
    reasoning="hm",
    finish_reason="stop",
    stop_reason="</s>",
    prompt_tokens=3,
    completion_tokens=5,
    attempts=2,
)


def key(number: int) -> str:
    return digest(["key", number])


def entries(*numbers: int, completion: Completion = ANSWER) -> list[LedgerEntry]:
    return [LedgerEntry(key(number), "model", replace(completion, prompt_tokens=number)) for number in numbers]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger")
    yield opened
    opened.close()


def child(code: str, *arguments: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=ROOT
    )


def test_an_answer_comes_back_whole_after_reopening(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    first.append([LedgerEntry(key(1), "model", ANSWER)])
    first.close()
    again = Ledger(tmp_path)
    assert again.known([key(1), key(2)]) == {key(1): ANSWER}
    assert again.count() == 1


def test_more_keys_than_one_query_takes(ledger: Ledger) -> None:
    ledger.append(entries(*range(1200)))
    found = ledger.known([key(number) for number in range(2000)])
    assert sorted(found) == sorted(key(number) for number in range(1200))
    assert found[key(777)].prompt_tokens == 777


def test_no_keys_and_no_entries_are_no_trouble(ledger: Ledger) -> None:
    assert ledger.known([]) == {}
    assert ledger.append([]) == {}
    assert ledger.count() == 0


def test_an_answer_is_never_replaced_and_the_late_one_is_told_so(ledger: Ledger) -> None:
    ledger.append([LedgerEntry(key(1), "model", Completion(text="first"))])
    kept = ledger.append(
        [LedgerEntry(key(1), "model", Completion(text="second")), LedgerEntry(key(2), "model", ANSWER)]
    )
    assert kept == {key(1): Completion(text="first"), key(2): ANSWER}
    ledger.append([LedgerEntry(key(1), "model", Completion(error="rejected_by_server"))])
    assert ledger.known([key(1)])[key(1)].text == "first"


def test_the_first_of_equal_keys_in_one_commit_stays(ledger: Ledger) -> None:
    ledger.append([LedgerEntry(key(1), "m", Completion(text="a")), LedgerEntry(key(1), "m", Completion(text="b"))])
    assert ledger.known([key(1)])[key(1)].text == "a"


def test_a_kept_failure_gives_way_to_an_answer(ledger: Ledger) -> None:
    ledger.append([LedgerEntry(key(1), "model", Completion(error="context_too_long", detail="4097 tokens"))])
    assert ledger.known([key(1)])[key(1)].error == "context_too_long"
    ledger.append([LedgerEntry(key(1), "model", ANSWER)])
    assert ledger.known([key(1)]) == {key(1): ANSWER}
    assert ledger.count() == 1


def test_asking_again_forgets_only_failures_of_that_reason(ledger: Ledger) -> None:
    ledger.append([LedgerEntry(key(1), "m", Completion(error="context_too_long"))])
    ledger.append([LedgerEntry(key(2), "m", Completion(error="refused_by_server"))])
    ledger.append([LedgerEntry(key(3), "m", ANSWER)])
    known = ledger.known([key(1), key(2), key(3)], frozenset({"context_too_long"}))
    assert sorted(known) == sorted([key(2), key(3)])


def test_a_commit_that_fails_leaves_nothing_half(ledger: Ledger) -> None:
    broken = LedgerEntry(key(2), "model", Completion(text="\ud800"))
    with pytest.raises(LedgerError, match="cannot be written"):
        ledger.append([*entries(1), broken, *entries(3)])
    assert ledger.count() == 0
    ledger.append(entries(1))
    assert ledger.count() == 1


def test_a_locked_ledger_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kasasagi.blocks.ledger.store.BUSY_SECONDS", 0.05)
    ledger = Ledger(tmp_path)
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        ledger.append(entries(1))
    assert ledger.known([key(1)]) == {}
    other.execute("ROLLBACK")
    ledger.append(entries(1))
    assert ledger.count() == 1


WRITER = """
import sys
from pathlib import Path
from kasasagi.blocks.ledger.store import LedgerEntry, Ledger
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.canonical import digest
sys.stdin.readline()
ledger = Ledger(Path(sys.argv[1]))
for number in range(40):
    shared = LedgerEntry(digest(["shared", number]), "m", Completion(text=sys.argv[2]))
    own = LedgerEntry(digest([sys.argv[2], number]), "m", Completion(text=sys.argv[2]))
    kept = ledger.append([shared, own])
    print(number, kept[shared.key].text, flush=True)
"""


def test_several_processes_share_a_ledger_from_its_first_moment(tmp_path: Path) -> None:
    writers = [child(WRITER, str(tmp_path / "new"), name) for name in "abcd"]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    answers = []
    for writer in writers:
        out, err = writer.communicate(timeout=60)
        assert writer.returncode == 0, err.decode()
        answers.append(out)
    assert len(set(answers)) == 1, "all writers must get the same answer to a shared question"
    assert Ledger(tmp_path / "new").count() == 40 + 4 * 40


APPENDER = """
import itertools, sys
from pathlib import Path
from kasasagi.blocks.ledger.store import LedgerEntry, Ledger
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.canonical import digest
ledger = Ledger(Path(sys.argv[1]))
for number in itertools.count():
    ledger.append([LedgerEntry(digest(["key", number]), "m", Completion(text="x" * 2000))])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("lines", [1, 37, 150])
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, lines: int) -> None:
    appender = child(APPENDER, str(tmp_path))
    assert appender.stdout is not None
    acknowledged = [int(appender.stdout.readline()) for _ in range(lines)]
    os.kill(appender.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in appender.stdout.read().decode().split("\n")[:-1]]
    appender.wait(30)
    ledger = Ledger(tmp_path)
    assert len(ledger.known([key(number) for number in acknowledged])) == len(acknowledged)
    assert len(acknowledged) <= ledger.count() <= len(acknowledged) + 1


FULL = """
import resource, signal, sys
from pathlib import Path
from kasasagi.blocks.ledger.store import LedgerEntry, Ledger, LedgerError
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.canonical import digest
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(Path(sys.argv[1]))
ledger.append([LedgerEntry(digest(["key", -1]), "m", Completion(text="x"))])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
kept = 0
try:
    for number in range(1000):
        ledger.append([LedgerEntry(digest(["key", number]), "m", Completion(text="x" * 5000))])
        kept = number + 1
except LedgerError as error:
    print(kept, str(error), sep="\\n")
"""


def test_a_full_disk_is_one_sentence_and_what_was_kept_stays(tmp_path: Path) -> None:
    out, err = child(FULL, str(tmp_path)).communicate(timeout=60)
    assert not err, err.decode()
    kept, sentence = out.decode().splitlines()
    assert 0 < int(kept) < 1000
    assert "cannot be written" in sentence
    assert "make room" in sentence
    ledger = Ledger(tmp_path)
    assert ledger.count() == int(kept) + 1
    ledger.append(entries(5000))
    assert ledger.count() == int(kept) + 2


READ_ONLY = """
import os, sys
from pathlib import Path
from kasasagi.blocks.ledger.store import Ledger, LedgerError
if os.geteuid() == 0:
    os.setuid(65534)
try:
    Ledger(Path(sys.argv[1]))
    print("opened")
except LedgerError as error:
    print(error)
"""


@pytest.mark.parametrize("there", [True, False])
def test_a_read_only_ledger_is_one_sentence(there: bool) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        if there:
            ledger = Ledger(folder)
            ledger.append(entries(1))
            ledger.close()
            (folder / "ledger.sqlite").chmod(0o444)
        folder.chmod(0o555)
        out, err = child(READ_ONLY, str(folder if there else folder / "ledger")).communicate(timeout=30)
        assert not err, err.decode()
        assert out.decode().count("\n") == 1
        assert "cannot be opened" in out.decode()
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_file_that_is_no_ledger_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("these are not the bytes of a database, nor ever were" * 50)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path)


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path / "file" / "ledger")


def test_a_ledger_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(LedgerError, match="format 2"):
        Ledger(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_opening_a_ledger_writes_nothing_to_one_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(tmp_path).close()
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("kasasagi.blocks.ledger.store.BUSY_SECONDS", 0.05)
    assert Ledger(tmp_path).known([key(1)]) == {}
