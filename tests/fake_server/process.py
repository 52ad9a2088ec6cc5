"""The fake server as tests hold it: a process that is always ended, and its accounts."""

import http.client
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import orjson

from tests.fake_server.config import ServerConfig
from tests.fake_server.forking import forking

ADMIN_TIMEOUT_S = 30.0


class FakeServer:
    """A fake server in a process of its own, as a context manager: it is killed on leaving, whatever happened."""

    def __init__(self, config: ServerConfig | None = None, *, port: int = 0, **fields: Any) -> None:
        """Take a configuration, or single fields of one; port 0 takes a free one."""
        self.config = (config or ServerConfig()).changed(**fields)
        self.port = port
        self.pid: int | None = None
        """The server's process id; None when it is stopped."""

    def __enter__(self) -> Self:
        self.start(self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """The address that clients take, such as `http://127.0.0.1:40001/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self, port: int = 0) -> None:
        """Start the process and wait until it listens. Raises RuntimeError when it does not."""
        arguments = ["--exit-with-parent", "--port", str(port), "--config", self.config.model_dump_json()]
        self.pid, listening = forking(os.getpid()).start(arguments)
        if listening is None:
            self.stop()
            raise RuntimeError(f"the fake server did not start on port {port}: see its message on standard error")
        self.port = listening

    def stop(self) -> None:
        """Kill the process, if it runs, and wait for its end; its accounts are lost."""
        pid, self.pid = self.pid, None
        if pid is not None:
            forking(os.getpid()).kill(pid)

    def restart(self, port: int = 0) -> None:
        """Kill the process and start a new one with the same configuration; port 0 takes a free one."""
        self.stop()
        self.start(port)

    def configure(self, **changes: Any) -> ServerConfig:
        """Replace fields of the configuration from the next request on; `faults` is replaced as a whole."""
        changed = self.config.changed(**changes)
        self._admin("POST", "config", changed.model_dump_json().encode())
        self.config = changed
        return changed

    def stats(self) -> dict[str, Any]:
        """The accounts: totals, by model, by endpoint, faults, peak in flight, slots."""
        report: dict[str, Any] = self._admin("GET", "stats")
        return report

    def samples(self) -> dict[str, dict[str, int]]:
        """For each sample's digest (see `sample_digest`) how often it was begun, finished and aborted."""
        counts: dict[str, dict[str, int]] = self._admin("GET", "samples")
        return counts

    def requests(self) -> list[dict[str, Any]]:
        """The recorded POSTs in the order of their arrival, each with `endpoint`, `headers` and `body`."""
        recorded: list[dict[str, Any]] = self._admin("GET", "requests")
        return recorded

    def reset_stats(self) -> None:
        """Reset all accounts, as if the server had just started; calls in flight stay uncounted."""
        self._admin("POST", "reset")

    def _admin(self, method: str, name: str, body: bytes | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ADMIN_TIMEOUT_S)
        try:
            connection.request(method, f"/_admin/{name}", body=body)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise RuntimeError(f"the fake server answered {method} {name} with {response.status}: {_message(data)}")
        return orjson.loads(data)


def _message(data: bytes) -> str:
    error: Mapping[str, Any] = orjson.loads(data)
    return str(error["error"]["message"])
