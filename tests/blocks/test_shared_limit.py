"""A limit that processes share: never exceeded, divided evenly, given back, and gone with a process that dies."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from kasasagi.blocks.dispatch import server_lane
from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError, StoppedError
from kasasagi.blocks.dispatch.limits import shared_limit
from kasasagi.blocks.dispatch.limits.shared_limit import LimitError, SharedLimit
from tests.blocks.helpers import ScriptedServer, background, dispatching, errors_of, model, questions, until
from tests.fake_server import FakeServer

ROUNDS = 1_000_000


class Shelf:
    """Slots that lie in this process."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.leases: dict[UUID, int] = {}
        self.asked = 0
        self.closed = 0

    async def size(self, name: str) -> int:
        return self.total

    async def take(self, name: str, slots: int) -> UUID | None:
        self.asked += 1
        if sum(self.leases.values()) + slots > self.total:
            return None
        lease = uuid4()
        self.leases[lease] = slots
        return lease

    async def renew(self, lease: UUID) -> bool:
        self.asked += 1
        return lease in self.leases

    async def give_back(self, lease: UUID) -> None:
        self.asked += 1
        del self.leases[lease]

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_limit, "TRY_AGAIN_S", 0.0005)
    monkeypatch.setattr(shared_limit, "GIVE_BACK_S", 0.005)


def conducted(work: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await work()

    asyncio.run(whole())


async def busy_until(limits: list[SharedLimit], holds: Callable[[], bool], most: int) -> None:
    """Send as many calls as may be, and let the oldest end, until something holds."""
    for _ in range(ROUNDS):
        for limit in limits:
            while limit.has_room():
                limit.on_send()
        assert sum(limit.in_flight for limit in limits) <= most
        if holds():
            return
        for limit in limits:
            for _ in range(min(2, limit.in_flight)):
                limit.on_end()
        await asyncio.sleep(0)
    raise AssertionError("what the test waits for did not happen")


async def ended(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.usefixtures("hasty")
def test_a_process_that_comes_later_gets_its_part_and_no_call_too_many_is_sent() -> None:
    async def work() -> None:
        shelf = Shelf(64)
        first, second = (SharedLimit("gpu", shelf, lambda: None) for _ in range(2))
        serving = [asyncio.create_task(first.serve())]
        await busy_until([first], lambda: first.in_flight == 64, 64)
        serving.append(asyncio.create_task(second.serve()))
        await busy_until([first, second], lambda: second.slots_held >= 24, 64)
        await ended(*serving)

    conducted(work)


@pytest.mark.usefixtures("hasty")
def test_slots_that_are_not_needed_are_given_back() -> None:
    async def work() -> None:
        shelf = Shelf(64)
        limit = SharedLimit("gpu", shelf, lambda: None)
        serving = asyncio.create_task(limit.serve())
        await busy_until([limit], lambda: limit.in_flight == 64, 64)
        while limit.in_flight:
            limit.on_end()
        for _ in range(ROUNDS):
            if not shelf.leases:
                break
            await asyncio.sleep(0)
        assert not shelf.leases
        await ended(serving)

    conducted(work)


def test_slots_are_taken_in_blocks_and_all_given_back_at_the_end() -> None:
    async def work() -> None:
        shelf = Shelf(512)
        limit = SharedLimit("gpu", shelf, lambda: None)
        serving = asyncio.create_task(limit.serve())
        await busy_until([limit], lambda: limit.in_flight == 512, 512)
        assert shelf.asked <= 20
        await ended(serving)
        await limit.close()
        assert (shelf.leases, shelf.closed) == ({}, 1)

    conducted(work)


def test_one_lease_that_is_not_taken_back_keeps_no_other() -> None:
    class Strict(Shelf):
        async def give_back(self, lease: UUID) -> None:
            if self.leases.pop(lease, None) is None:
                raise LimitError("no such lease")

    async def work() -> None:
        shelf = Strict(64)
        limit = SharedLimit("gpu", shelf, lambda: None)
        serving = asyncio.create_task(limit.serve())
        await busy_until([limit], lambda: limit.in_flight == 64, 64)
        await ended(serving)
        shelf.leases.pop(next(iter(shelf.leases)))
        await limit.close()
        assert not shelf.leases

    conducted(work)


def test_slots_that_arrive_while_the_run_ends_are_given_back() -> None:
    class Slow(Shelf):
        async def take(self, name: str, slots: int) -> UUID | None:
            lease = await super().take(name, slots)
            for _ in range(50):
                await asyncio.sleep(0)
            return lease

    async def work() -> None:
        shelf = Slow(64)
        limit = SharedLimit("gpu", shelf, lambda: None)
        serving = asyncio.create_task(limit.serve())
        assert not limit.has_room()
        while not shelf.leases:
            await asyncio.sleep(0)
        await ended(serving)
        assert limit.slots_held == 0
        await limit.close()
        assert not shelf.leases

    conducted(work)


def test_a_lease_that_has_ended_is_not_used_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_limit, "TRY_AGAIN_S", 0.0005)

    async def work() -> None:
        shelf = Shelf(16)
        limit = SharedLimit("gpu", shelf, lambda: None)
        serving = asyncio.create_task(limit.serve())
        await busy_until([limit], lambda: limit.in_flight == 16, 16)
        shelf.leases.clear()
        shelf.total = 0
        monkeypatch.setattr(shared_limit, "LEASE_S", 1e9)  # what is held is more than half over
        for _ in range(ROUNDS):
            if limit.slots_held == 0:
                break
            await asyncio.sleep(0)
        assert not limit.has_room()
        await ended(serving)

    conducted(work)


def test_a_lease_that_ran_out_while_nobody_answered_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Shelf):
        async def renew(self, lease: UUID) -> bool:
            await asyncio.Event().wait()
            return True

    async def work() -> None:
        limit = SharedLimit("gpu", Silent(16), lambda: None)
        serving = asyncio.create_task(limit.serve())
        await busy_until([limit], lambda: limit.in_flight == 16, 16)
        monkeypatch.setattr(shared_limit, "LEASE_S", 1e9)  # what is held is more than half over
        now = asyncio.get_running_loop().time()
        monkeypatch.setattr(shared_limit, "_now", lambda: now + 100.0)
        assert not limit.has_room()
        limit.on_end()
        assert not limit.has_room()
        await ended(serving)

    conducted(work)


@pytest.fixture
def prefect_limits(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], Any]]:
    """Makes limits on a real Prefect server, and tells how many of a limit's slots are taken."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.settings import get_current_settings

    monkeypatch.setenv("PREFECT_API_URL", str(get_current_settings().api.url))
    with get_client(sync_client=True) as client:

        def make(name: str, limit: int) -> Callable[[], int]:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=limit))
            return lambda: client.read_global_concurrency_limit_by_name(name).active_slots

        yield make


@pytest.mark.usefixtures("prefect_limits")
def test_a_limit_that_prefect_does_not_have_ends_the_run_in_one_sentence(server: FakeServer, tmp_path: Path) -> None:
    with (
        dispatching(tmp_path, {"small": model(server, prefect_limit="nowhere")}) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"no global concurrency limit 'nowhere'; make it with `prefect gcl"),
    ):
        dispatcher.ask(questions(2))
    assert "chat" not in server.stats()["by_endpoint"]


def test_two_processes_never_have_more_calls_in_flight_than_prefect_lets_them(
    server: FakeServer, tmp_path: Path, prefect_limits: Callable[[str, int], Callable[[], int]]
) -> None:
    taken = prefect_limits("small-gpu", 6)
    server.configure(first_token_s=0.05)
    models = {"small": model(server, prefect_limit="small-gpu")}
    with dispatching(tmp_path / "a", models) as one, dispatching(tmp_path / "b", models) as other:
        both = [
            background(lambda d=d, a=about: errors_of(d, questions(30, about=a)))
            for d, about in ((one, "a"), (other, "b"))
        ]
        for thread in both:
            thread.join()
        stats = server.stats()
        assert stats["peak_in_flight"] <= 6
        assert stats["calls"] == 60
        assert taken() > 0
    until(lambda: taken() == 0)


def test_prefect_gives_leases_that_end(prefect_limits: Callable[[str, int], Callable[[], int]]) -> None:
    from kasasagi.blocks.dispatch.prefect_slots import PrefectSlots

    taken = prefect_limits("leased", 4)

    async def work() -> None:
        slots = PrefectSlots()
        lease = await slots.take("leased", 3)
        assert lease is not None
        assert await slots.take("leased", 3) is None
        assert await slots.renew(lease)
        assert taken() == 3
        await slots.give_back(lease)
        assert not await slots.renew(lease)
        await slots.close()

    conducted(work)
    assert taken() == 0


def test_a_server_that_is_down_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from kasasagi.blocks.dispatch.prefect_slots import PrefectSlots

    monkeypatch.setitem(os.environ, "PREFECT_API_URL", "http://127.0.0.1:9/api")

    async def work() -> None:
        with pytest.raises(LimitError, match=r"Prefect does not say what its limit 'gpu' is .*; is its server up\?"):
            await PrefectSlots().size("gpu")

    conducted(work)


def of_a_server(reply: tuple[int, dict[str, str], bytes], work: Callable[[Any], Awaitable[Any]]) -> None:
    """Ask a server that has the same reply to everything for slots."""
    from kasasagi.blocks.dispatch.prefect_slots import PrefectSlots

    async def asked() -> None:
        slots = PrefectSlots()
        try:
            await work(slots)
        finally:
            await slots.close()

    with (
        ScriptedServer(lambda number, headers: reply, reply) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PREFECT_API_URL", server.base_url)
        conducted(asked)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>welcome</html>"), (200, b"[]"), (200, b"null"), (200, b'{"lease_id": 7}'), (401, b"{}"), (200, b"")],
)
def test_a_reply_that_is_none_of_prefects_is_a_limit_error_and_not_a_hang(status: int, body: bytes) -> None:
    reply = (status, {"content-type": "application/json"}, body)
    with pytest.raises(LimitError, match="Prefect does not say what its limit 'gpu' is"):
        of_a_server(reply, lambda slots: slots.size("gpu"))
    with pytest.raises(LimitError):
        of_a_server(reply, lambda slots: slots.take("gpu", 2))


def test_a_limit_without_slots_is_said_and_not_waited_for(
    prefect_limits: Callable[[str, int], Callable[[], int]],
) -> None:
    from kasasagi.blocks.dispatch.prefect_slots import PrefectSlots

    prefect_limits("empty", 0)

    async def work() -> None:
        slots = PrefectSlots()
        with pytest.raises(LimitError, match=r"'empty' has no slots.*prefect gcl update empty --limit 100"):
            await slots.size("empty")
        await slots.close()

    conducted(work)


def test_a_process_that_gets_no_slot_says_of_which_limit(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(8)
    shelf.leases[uuid4()] = 8
    monkeypatch.setattr(server_lane, "_slots", lambda: shelf)
    with dispatching(tmp_path, {"small": model(server, prefect_limit="gpu")}) as dispatcher:
        asking = background(lambda: errors_of(dispatcher, questions(2)))
        until(lambda: dispatcher.counters.short_of == "gpu")
        dispatcher.stop(StoppedError("enough"))
        asking.join()
    assert "chat" not in server.stats()["by_endpoint"]


def test_whatever_goes_wrong_with_a_limit_ends_the_run_and_nobody_hangs(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Shelf):
        async def take(self, name: str, slots: int) -> UUID | None:
            raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(server_lane, "_slots", lambda: Broken(8))
    with (
        dispatching(tmp_path, {"small": model(server, prefect_limit="gpu")}) as dispatcher,
        pytest.raises(ModelUnusableError, match="ZeroDivisionError: a fault of ours"),
    ):
        dispatcher.ask(questions(2))
