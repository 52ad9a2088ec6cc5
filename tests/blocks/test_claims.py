"""Claims: one living run a key; what a run gives up, or a killed one leaves, is free for the others."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.ledger.store import LedgerError
from kasasagi.blocks.workspace.runs import Workspace


def keys(count: int, start: int = 0) -> list[str]:
    return [digest(number) for number in range(start, start + count)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path)
    made.prepare()
    return made


@pytest.fixture
def one(workspace: Workspace) -> Iterator[Claims]:
    with Claims(workspace, "one") as claims:
        yield claims


@pytest.fixture
def two(workspace: Workspace) -> Iterator[Claims]:
    with Claims(workspace, "two") as claims:
        yield claims


def left_on_disk(workspace: Workspace) -> tuple[int, list[str]]:
    """How many claims there are, and the names of the runs' locks."""
    folder = workspace.folder / "locks" / "claims"
    with closing(sqlite3.connect(folder / "claims.sqlite")) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM claims").fetchone()
    return rows, [file.name.partition("~")[0] for file in folder.glob("*.lock")]


def test_each_key_belongs_to_one_run_until_that_gives_it_up(one: Claims, two: Claims) -> None:
    assert one.take(keys(1_200)) == set(keys(1_200))
    assert two.take(keys(1_200, start=600)) == set(keys(600, start=1_200))
    assert two.take(keys(600)) == set()
    one.release(keys(600))
    assert two.take(keys(601)) == set(keys(600))


def test_those_who_are_waited_for_are_named_once(one: Claims, two: Claims) -> None:
    one.take(keys(3))
    assert two.new_waits(keys(5)) == {"one": 3}
    assert not two.new_waits(keys(2))
    assert not one.new_waits(keys(3))


def test_threads_of_one_run_may_claim_the_same_and_the_last_one_gives_it_up(one: Claims, two: Claims) -> None:
    assert one.take(keys(2)) == one.take(keys(2)) == set(keys(2))
    one.release(keys(2))
    assert two.take(keys(2)) == set()
    one.release(keys(2))
    assert two.take(keys(2)) == set(keys(2))


def test_what_is_on_its_way_stays_claimed_after_its_chunk_has_failed(one: Claims, two: Claims) -> None:
    one.take(keys(3))
    one.leave(keys(3))
    one.release_left(lambda some: set(keys(1)))
    assert two.take(keys(3)) == set(keys(3)[1:])
    one.release_left(lambda some: [])
    assert two.take(keys(1)) == set(keys(1))


def test_a_run_that_ends_leaves_nothing(workspace: Workspace, two: Claims) -> None:
    one = Claims(workspace, "one")
    one.take(keys(3))
    one.close()
    assert left_on_disk(workspace) == (0, [])
    assert two.take(keys(3)) == set(keys(3))
    with pytest.raises(LedgerError, match="the run has ended"):
        one.take(keys(1))


def claiming_until_killed(workspace: Workspace, here: Connection) -> None:
    claims = Claims(workspace, "killed")
    here.send(len(claims.take(keys(5))))
    here.recv()


def test_what_a_killed_run_had_claimed_is_free_and_cleared_away(workspace: Workspace, two: Claims) -> None:
    two.take(keys(1, start=9))
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=claiming_until_killed, args=(workspace, theirs), daemon=True)
    child.start()
    assert ours.poll(60)
    assert ours.recv() == 5
    assert two.take(keys(5)) == set()
    child.kill()
    child.join()
    assert two.take(keys(2)) == set(keys(2))
    assert left_on_disk(workspace) == (1 + 5, ["two"])
    with Claims(workspace, "three") as three:
        assert three.take(keys(5)) == set(keys(3, start=2))
        assert left_on_disk(workspace)[0] == 1 + 5


def test_the_claims_of_the_dead_go_with_the_next_run(workspace: Workspace, two: Claims) -> None:
    two.take([])
    with closing(sqlite3.connect(workspace.folder / "locks" / "claims" / "claims.sqlite")) as connection, connection:
        connection.executemany("INSERT INTO claims VALUES (?, 'dead~0')", [(bytes.fromhex(key),) for key in keys(4)])
    with Claims(workspace, "three") as three:
        three.take(keys(1, start=9))
        assert left_on_disk(workspace)[0] == 1


def test_claims_that_cannot_be_read_stop_the_run_in_one_sentence(workspace: Workspace, one: Claims) -> None:
    folder = workspace.folder / "locks" / "claims"
    folder.mkdir()
    (folder / "claims.sqlite").write_text("these are not the bytes of a database" * 50)
    with pytest.raises(LedgerError, match=r"nothing more is sent.*remove that folder"):
        one.take(keys(1))
