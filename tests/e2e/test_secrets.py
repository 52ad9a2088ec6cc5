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
from tests.e2e.job import Job, files_below

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


def test_a_key_is_written_nowhere(alone: NewJob) -> None:
    job = alone(api_key=KEY)
    job.command.environment[VARIABLE] = KEY
    with_key = {name: {"api_key_env": VARIABLE} for name in ("small", "large", "critic")}
    said = [job.prepare(20, models=with_key).run().succeeded()]
    said.append(job.command("check", "recipe.yaml", "--ping").succeeded())
    said.append(job.command("show", "--json", "-w", job.workspace).succeeded())
    for handler in (Repeating, RepeatingOnlyChat):
        with serving(handler) as address:
            at_another = {name: {"api_key_env": VARIABLE, "base_url": address} for name in with_key}
            job.write_recipe(models=at_another, respond={"system_prompt": f"for {handler.__name__}"})
            said += job.command.together(
                ("run", "recipe.yaml", "-w", job.workspace), ("check", "recipe.yaml", "--ping")
            )
        assert (said[-2].code, said[-1].code) == (1, 2)
        assert "401" in said[-2].failed(1)
    assert not [ended for ended in said if KEY in ended.out + ended.err]
    assert (job.folder / "prefect-home" / "prefect.db").exists()
    assert files_that_hold(job, KEY) == []


def files_that_hold(job: Job, text: str) -> list[str]:
    """The files of a job's folder, the Prefect home included, that hold a text, compressed ones unpacked."""
    return [str(path) for path in files_below(job.folder) if text.encode() in path.read_bytes() + unpacked(path)]


def unpacked(path: Path) -> bytes:
    """The values in a Parquet file or a DuckDB database as text."""
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pylist()).encode()
    if path.suffix != ".duckdb":
        return b""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
        return "".join(str(connection.table(name).fetchall()) for name in tables).encode()


def test_the_search_finds_a_key_where_there_is_one(alone: NewJob) -> None:
    job = alone()
    (job.folder / "ws").mkdir()
    with duckdb.connect(str(job.folder / "ws" / "run.duckdb")) as connection:
        connection.execute(f"CREATE TABLE calls AS SELECT '{KEY}' AS reply FROM range(5)")
        connection.execute(f"COPY calls TO '{job.folder}/ws/calls.parquet' (COMPRESSION zstd)")
    assert len(files_that_hold(job, KEY)) == 2
