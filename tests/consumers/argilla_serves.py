"""A real Argilla server, run by its own Python in an empty folder: SQLite, and stand-ins for its queue and its search.

Usage: argilla_serves.py FOLDER PORT KEY. The search engine only says yes: records and responses lie in the database.
"""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

indices: set[str] = set()


class SearchEngine(BaseHTTPRequestHandler):
    """As much of OpenSearch as the server asks of it while it writes."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        status = 404 if self.command == "HEAD" and path not in indices else 200
        if self.command == "PUT":
            indices.add(path)
        reply = {"acknowledged": True, "errors": False, "items": [], "version": {"number": "2.11.1"}}
        body = b"" if self.command == "HEAD" else json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""


def main() -> None:
    """Serve until killed."""
    import uvicorn
    from fakeredis import TcpFakeServer

    folder, port, key = sys.argv[1:]
    search = ThreadingHTTPServer(("127.0.0.1", 0), SearchEngine)
    queue = TcpFakeServer(("127.0.0.1", 0))
    for server in (search, queue):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {
        "ARGILLA_HOME_PATH": folder,
        "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/argilla.db",
        "ARGILLA_SEARCH_ENGINE": "opensearch",
        "ARGILLA_ELASTICSEARCH": f"http://127.0.0.1:{search.server_port}",
        "ARGILLA_REDIS_URL": f"redis://127.0.0.1:{queue.server_address[1]}/0",
        "ARGILLA_ENABLE_TELEMETRY": "0",
        "HF_HUB_OFFLINE": "1",
    }
    database = [sys.executable, "-m", "argilla_server", "database"]
    subprocess.run([*database, "migrate"], check=True)
    subprocess.run([*database, "users", "create_default", "--api-key", key, "--password", key], check=True)
    uvicorn.run("argilla_server:app", host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
