"""A limit on the calls in flight that several processes share: a global concurrency limit of Prefect.

Asking Prefect before each call would cost more than the call. A process therefore takes slots in blocks, each a lease
that it renews and that ends by itself if the process dies, and counts its calls against the slots that it holds. From
time to time it gives back a share of its blocks, and takes part in the race for them a little later than the others,
so that processes that want more than there is come to hold equally many.
"""

import asyncio
import math
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

BLOCKS = 16
GIVEN_BACK = 1 / 8
GIVE_BACK_S = 15.0
TRY_AGAIN_S = 1.0
LEASE_S = 60.0
LET_GO_S = 5.0


class LimitError(Exception):
    """A limit cannot be used: there is none of that name, or no server to ask."""


class Slots(Protocol):
    """Who hands out the slots of limits."""

    async def size(self, name: str) -> int:
        """Return how many slots a limit has. Raises LimitError."""

    async def take(self, name: str, slots: int) -> UUID | None:
        """Return a lease of so many slots; None where as many are not free. Raises LimitError."""

    async def renew(self, lease: UUID) -> bool:
        """Renew a lease for LEASE_S seconds; False where it has ended. Raises LimitError."""

    async def give_back(self, lease: UUID) -> None:
        """End a lease. Raises LimitError."""

    async def close(self) -> None:
        """Close the connections."""


@dataclass(slots=True)
class _Block:
    lease: UUID
    ends_at: float


class SharedLimit:
    """The slots of one limit that this process holds; lives in the dispatcher's loop, whose clock the times are of.

    there_is_room is called whenever more calls may be sent than before.
    """

    def __init__(self, name: str, slots: Slots, there_is_room: Callable[[], None]) -> None:
        self.name = name
        self.in_flight = 0
        self._slots = slots
        self._there_is_room = there_is_room
        self._size = 1
        self._blocks: list[_Block] = []
        self._leaving: list[_Block] = []
        self._asked: asyncio.Future[UUID | None] | None = None
        self._wanted = asyncio.Event()
        self._wait_until = 0.0
        self._give_back_at = math.inf

    @property
    def slots_held(self) -> int:
        """How many calls may be in flight in this process, by the leases that last."""
        now = _now()
        return sum(block.ends_at > now for block in self._blocks) * self._size

    def has_room(self) -> bool:
        """Return whether one more call may be sent now; if not, more slots are asked for."""
        if self.in_flight < self.slots_held:
            return True
        self._wanted.set()
        return False

    def on_send(self) -> None:
        """Count a call that is sent."""
        self.in_flight += 1

    def on_end(self) -> None:
        """Count a call that has ended."""
        self.in_flight -= 1

    async def serve(self) -> None:
        """Take, renew and give back slots until cancelled.

        Raises:
            LimitError: If the limit cannot be used at all.
        """
        self._size = max(1, await self._slots.size(self.name) // BLOCKS)
        self._give_back_at = _now() + GIVE_BACK_S
        while True:
            with suppress(LimitError):  # what is not renewed in time is not used any more
                await self._update_leases()
            with suppress(TimeoutError):
                async with asyncio.timeout(TRY_AGAIN_S):
                    await self._wanted.wait()
            await asyncio.sleep(max(0.0, self._wait_until - _now()))

    async def close(self) -> None:
        """Return all leases, where their server still takes them."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_S):
                await asyncio.gather(self._give_back_taken(), *map(self._give_back, self._blocks + self._leaving))
        self._blocks, self._leaving = [], []
        await self._slots.close()

    async def _give_back(self, block: _Block) -> None:
        with suppress(LimitError):
            await self._slots.give_back(block.lease)

    async def _give_back_taken(self) -> None:
        """Give back what was still being asked for when serving ended."""
        with suppress(LimitError):
            if self._asked is not None and (lease := await self._asked) is not None:
                await self._slots.give_back(lease)

    async def _update_leases(self) -> None:
        await self._renew()
        if _now() >= self._give_back_at:
            self._retire_blocks()
        while self._leaving and self.in_flight <= self.slots_held + (len(self._leaving) - 1) * self._size:
            await self._slots.give_back(self._leaving[-1].lease)
            self._leaving.pop()
            self._wait_until = _now() + 2 * TRY_AGAIN_S
        if self._wanted.is_set() and _now() >= self._wait_until:
            await self._take()

    async def _take(self) -> None:
        self._wanted.clear()
        ends_at = _now() + LEASE_S  # counted from before it is asked for, so that it never ends there sooner
        self._asked = asyncio.ensure_future(self._slots.take(self.name, self._size))
        try:
            lease = await asyncio.shield(self._asked)
        except Exception:
            self._asked = None
            raise
        self._asked = None
        if lease is None:
            self._wanted.set()
            self._wait_until = _now() + random.uniform(0.5, 1.0) * TRY_AGAIN_S
        else:
            self._blocks.append(_Block(lease, ends_at))
            self._there_is_room()

    async def _renew(self) -> None:
        """Renew leases that are half over, and forget those that have ended."""
        for block in (*self._blocks, *self._leaving):
            if block.ends_at - _now() < LEASE_S / 2:
                ends_at = _now() + LEASE_S
                with suppress(LimitError):
                    block.ends_at = ends_at if await self._slots.renew(block.lease) else 0.0
        self._blocks = [block for block in self._blocks if block.ends_at > _now()]
        self._leaving = [block for block in self._leaving if block.ends_at > _now()]

    def _retire_blocks(self) -> None:
        """Stop using a share of the blocks, or all that are not needed; others may take them first."""
        idle = (self.slots_held - self.in_flight) // self._size
        count = max(idle, math.ceil(len(self._blocks) * GIVEN_BACK)) if len(self._blocks) > 1 or idle else 0
        self._leaving += [self._blocks.pop() for _ in range(count)]
        self._give_back_at = _now() + GIVE_BACK_S


def _now() -> float:
    return asyncio.get_running_loop().time()
