"""What `kasasagi check` says of a cluster: whether it answers, and whether its storage can be written."""

import asyncio
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from kasasagi.blocks.cluster.config import RuntimeConfig
from kasasagi.blocks.destinations.errors import DestinationError, one_sentence
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.run.cluster import missing_package, storage_of

PATIENCE_S = 5.0
OWN_MACHINE = ("localhost", "127.0.0.1", "::1")
FOUND_BY_RAY = ("auto", "local")


def check_cluster(loaded: LoadedRecipe, workspace: Workspace, log: Callable[[str], None]) -> list[str]:
    """Ask the cluster and its storage whether they are there; gives a sentence for each that cannot be used."""
    runtime = loaded.recipe.runtime
    if runtime is None:
        return []
    problems = [missing_package(runtime), _silent(runtime, log), _unwritable(runtime, loaded.base, workspace, log)]
    for label, model in loaded.recipe.models.items():
        if isinstance(model, OpenAIModel) and any(urlsplit(one).hostname in OWN_MACHINE for one in model.addresses):
            log(f"{label}: on the cluster {model.addresses[0]} means each worker's own machine")
    return [problem for problem in problems if problem is not None]


def _silent(runtime: RuntimeConfig, log: Callable[[str], None]) -> str | None:
    """Return one sentence if the cluster cannot be reached."""
    if runtime.address in FOUND_BY_RAY:
        log(f"runtime: Ray looks for the cluster ({runtime.address}) when a run begins")
        return None
    wrong = f"runtime.address: {runtime.address!r}"
    try:
        parts = urlsplit(runtime.address if "://" in runtime.address else f"//{runtime.address}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"{wrong} is not an address ({error}); one looks like tcp://host:8786, ray://host:10001 or host:6379"
    if host is None or port is None:
        return f"{wrong} has no host and port; one looks like tcp://host:8786, ray://host:10001 or host:6379"
    try:
        socket.create_connection((host, port), timeout=PATIENCE_S).close()
        workers = asyncio.run(_workers(runtime)) if runtime.runner == "dask" and not missing_package(runtime) else None
    except (OSError, TimeoutError) as error:
        return f"{wrong}: no {runtime.runner} cluster answers there ({one_sentence(error)}); start it or correct it"
    log(f"runtime: {runtime.address} answers{'' if workers is None else f', with {workers} workers'}")
    return None


async def _workers(runtime: RuntimeConfig) -> int:
    """Return how many workers a Dask cluster has. Raises OSError, TimeoutError."""
    from distributed import Client

    async with Client(runtime.address, asynchronous=True, timeout=PATIENCE_S, set_as_default=False) as client:
        return len((await client.scheduler.identity())["workers"])


def _unwritable(runtime: RuntimeConfig, base: Path, workspace: Workspace, log: Callable[[str], None]) -> str | None:
    """Return one sentence if nothing can be written to the shared storage."""
    address, name = storage_of(runtime, base, workspace), f"check-{secrets.token_hex(6)}"
    try:
        store = Store(address)
        store.write_whole(name, b"kasasagi")
        store.discard([name])
    except DestinationError as error:
        return f"runtime.storage: {error}"
    log(f"runtime: {address} can be written; all workers must see it")
    return None
