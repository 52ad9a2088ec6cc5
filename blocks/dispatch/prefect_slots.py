"""Prefect as the one that hands out slots: its global concurrency limits, by leases."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from kasasagi.blocks.destinations.errors import one_sentence
from kasasagi.blocks.dispatch.limits.shared_limit import LEASE_S, LimitError

ANSWERS_WITHIN_S = 20.0
NOT_FREE = 423
GONE = 410


class PrefectSlots:
    """The slots of limits of the Prefect server that this process reports to; lives in one event loop."""

    def __init__(self) -> None:
        self._client: PrefectClient | None = None

    async def size(self, name: str) -> int:
        """Return how many slots a limit has. Raises LimitError."""
        try:
            async with _limit_errors():
                found = await (await self._connect()).read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            raise LimitError(
                f"Prefect has no global concurrency limit {name!r}; "
                f"make it with `prefect gcl create {name} --limit 100`, or remove prefect_limit"
            ) from None
        except (LimitError, PrefectHTTPStatusError) as error:
            raise LimitError(f"Prefect does not say what its limit {name!r} is ({error}); is its server up?") from error
        if found.active and found.limit < 1:
            raise LimitError(
                f"Prefect's limit {name!r} has no slots, so no call would ever be sent; "
                f"give it some with `prefect gcl update {name} --limit 100`"
            )
        return found.limit

    async def take(self, name: str, slots: int) -> UUID | None:
        """Return a lease of so many slots; None where as many are not free. Raises LimitError."""
        try:
            async with _limit_errors():
                client = await self._connect()
                response = await client.increment_concurrency_slots_with_lease([name], slots, "concurrency", LEASE_S)
                return UUID(response.json()["lease_id"])
        except PrefectHTTPStatusError as error:
            if error.response.status_code == NOT_FREE:
                return None
            raise LimitError(str(error)) from error

    async def renew(self, lease: UUID) -> bool:
        """Renew a lease for LEASE_S seconds; False where it has ended. Raises LimitError."""
        try:
            async with _limit_errors():
                await (await self._connect()).renew_concurrency_lease(lease, LEASE_S)
        except PrefectHTTPStatusError as error:
            if error.response.status_code == GONE:
                return False
            raise LimitError(str(error)) from error
        except ObjectNotFound:
            return False
        return True

    async def give_back(self, lease: UUID) -> None:
        """End a lease. Raises LimitError."""
        try:
            async with _limit_errors():
                await (await self._connect()).release_concurrency_slots_with_lease(lease)
        except (ObjectNotFound, PrefectHTTPStatusError) as error:
            raise LimitError(str(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
            self._client = None

    async def _connect(self) -> PrefectClient:
        if self._client is None:
            # The thread of this loop knows nothing of the settings that a run was started with, but its address.
            url = os.environ.get(PREFECT_API_URL.name)
            with temporary_settings({PREFECT_API_URL: url} if url else {}):
                client: Any = get_client()
            self._client = await client.__aenter__()
        return self._client


@asynccontextmanager
async def _limit_errors() -> AsyncIterator[None]:
    """Turn connection errors, timeouts and damaged replies into LimitError; leave HTTP statuses as they are."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            yield
    except (ObjectNotFound, PrefectHTTPStatusError):
        raise
    except Exception as error:
        raise LimitError(one_sentence(error)) from error
