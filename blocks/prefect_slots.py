"""Prefect as the one that hands out slots: its global concurrency limits, by leases."""

import os
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.shared_limit import LEASE_S, LimitError

NOT_FREE = 423
GONE = 410


class PrefectSlots:
    """The slots of limits of the Prefect server that this process reports to; lives in one event loop."""

    def __init__(self) -> None:
        self._client: PrefectClient | None = None

    async def size(self, name: str) -> int:
        """How many slots a limit has. Raises LimitError."""
        try:
            return (await (await self._opened()).read_global_concurrency_limit_by_name(name)).limit
        except ObjectNotFound:
            raise LimitError(
                f"Prefect has no global concurrency limit {name!r}; "
                f"make it with `prefect gcl create {name} --limit 100`, or take prefect_limit out"
            ) from None
        except (httpx.HTTPError, RuntimeError) as error:
            raise LimitError(f"Prefect does not say what its limit {name!r} is ({error}); is its server up?") from error

    async def take(self, name: str, slots: int) -> UUID | None:
        """A lease of so many slots; None where as many are not free. Raises LimitError."""
        try:
            response = await (await self._opened()).increment_concurrency_slots_with_lease(
                [name], slots, "concurrency", LEASE_S
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code == NOT_FREE:
                return None
            raise LimitError(str(error)) from error
        except httpx.HTTPError as error:
            raise LimitError(str(error)) from error
        return UUID(response.json()["lease_id"])

    async def renew(self, lease: UUID) -> bool:
        """Whether a lease goes on for LEASE_S seconds; False where it has ended. Raises LimitError."""
        try:
            await (await self._opened()).renew_concurrency_lease(lease, LEASE_S)
        except PrefectHTTPStatusError as error:
            if error.response.status_code == GONE:
                return False
            raise LimitError(str(error)) from error
        except httpx.HTTPError as error:
            raise LimitError(str(error)) from error
        return True

    async def give_back(self, lease: UUID) -> None:
        """End a lease. Raises LimitError."""
        try:
            await (await self._opened()).release_concurrency_slots_with_lease(lease)
        except httpx.HTTPError as error:
            raise LimitError(str(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
            self._client = None

    async def _opened(self) -> PrefectClient:
        if self._client is None:
            # The thread of this loop knows nothing of the settings that a run was started with, but its address.
            url = os.environ.get(PREFECT_API_URL.name)
            with temporary_settings({PREFECT_API_URL: url} if url else {}):
                client: Any = get_client()
            self._client = await client.__aenter__()
        return self._client
