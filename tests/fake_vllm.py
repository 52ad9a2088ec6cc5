"""A stand-in for the `vllm` command: serves short answers, and dies on demand."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Answers every question with its own words."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Say that the server is well."""
        self._send(b"{}")

    def do_POST(self) -> None:
        """Answer, or die."""
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        words = body["messages"][-1]["content"] if "messages" in body else str(body["prompt"])
        if "die" in words:
            print("RuntimeError: the weights caught fire", flush=True)
            os._exit(9)
        text = f"{body['model']}: {words}"
        choice = {"message": {"content": text}} if "messages" in body else {"text": text}
        usage = {"prompt_tokens": 3, "completion_tokens": 5}
        self._send(json.dumps({"choices": [{**choice, "finish_reason": "stop"}], "usage": usage}).encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep quiet."""


def main(arguments: list[str]) -> None:
    """Serve as `vllm serve MODEL --port N …` would; the model `broken` does not start, `slow` never does."""
    print(json.dumps(arguments), flush=True)
    if arguments[1] == "broken":
        sys.exit("ValueError: no such weights")
    if arguments[1] == "slow":
        threading.Event().wait()
    server = ThreadingHTTPServer(("127.0.0.1", int(arguments[arguments.index("--port") + 1])), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
