"""A key that stands in the environment is written nowhere, neither when it works nor when a server repeats it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from tests.e2e.conftest import NewJob
from tests.e2e.job import MODELS, files_below

KEY = "marked-key-7f3a91c2d5e84b60"
VARIABLE = "E2E_SERVER_KEY"


class Repeating(BaseHTTPRequestHandler):
    """A server that refuses every key and repeats it in its words, as some do."""

    def do_GET(self) -> None:
        """Refuse."""
        words = f"Incorrect API key provided: {self.headers.get('Authorization', '').removeprefix('Bearer ')}."
        body = json.dumps({"error": {"message": words, "code": "invalid_api_key"}}).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class RepeatingOnlyChat(Repeating):
    """The same, but it does not say which models it has."""

    def do_GET(self) -> None:
        """There is no such page."""
        self.send_error(404)

    do_POST = Repeating.do_GET


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server of that kind."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_key_is_written_nowhere(new_job: NewJob, prefect_home: Path) -> None:
    job = new_job(api_key=KEY)
    job.command.environment[VARIABLE] = KEY
    job.prepare(20, models={name: {"api_key_env": VARIABLE} for name in MODELS})
    run, check = ("run", "recipe.yaml", "-w", job.workspace), ("check", "recipe.yaml", "--ping")
    with serving(Repeating) as refusing, serving(RepeatingOnlyChat) as secretive:
        ended_commands = job.command.together(
            run,
            (*run, *at(refusing), "--set", "respond.system_prompt=Be quick."),
            (*run, *at(secretive), "--set", "respond.system_prompt=Be brief."),
            check,
            (*check, *at(refusing)),
            (*check, *at(secretive)),
        )
    ended_commands.append(job.command("show", "--json", "-w", job.workspace).succeeded())
    assert [ended.code for ended in ended_commands] == [0, 1, 1, 0, 1, 1, 0]
    assert all("401" in ended.failed(ended.code) for ended in ended_commands if ended.code == 1)
    assert not [ended for ended in ended_commands if KEY in ended.out + ended.err]
    assert (prefect_home / "prefect.db").exists()
    assert files_that_hold(job.folder, KEY) + files_that_hold(prefect_home, KEY) == []


def at(address: str) -> list[str]:
    """The options that send all models' questions to an address."""
    return [part for name in MODELS for part in ("--set", f"models.{name}.base_url={address}")]


def files_that_hold(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text, compressed ones unpacked."""
    return [str(path) for path in files_below(folder) if text.encode() in path.read_bytes() + unpacked(path)]


def unpacked(path: Path) -> bytes:
    """The values in a Parquet file or a DuckDB database as text."""
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pylist()).encode()
    if path.suffix != ".duckdb":
        return b""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
        return "".join(str(connection.table(name).fetchall()) for name in tables).encode()


def test_the_search_finds_a_key_where_there_is_one(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "run.duckdb")) as connection:
        connection.execute(f"CREATE TABLE calls AS SELECT '{KEY}' AS reply FROM range(5)")
        connection.execute(f"COPY calls TO '{tmp_path}/calls.parquet' (COMPRESSION zstd)")
    assert len(files_that_hold(tmp_path, KEY)) == 2
