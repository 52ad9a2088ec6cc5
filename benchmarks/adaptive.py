"""How well the limit of a server that is unknown to us is found: `python -m benchmarks.adaptive`.

Simulated servers that take so many calls and answer 429 to more, or that let them wait, or that answer 429 at random,
are sent calls as fast as the adaptive limit lets them go, through the dispatcher and its ledger. Printed for each: the
busy share of its slots from the first call to the last, what that share is in the second half of the calls, and how
many 429s it took.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import OpenAIModel
from tests.fake_server import FakeServer

LATENCY = {"first_token_s": 0.2, "per_token_s": 0.01, "tokens_mean": 80, "tokens_sd": 25}
SCENARIOS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "takes 100, begins at 32": ({"slots": 100, "queue_limit": 1}, {"start_concurrency": 32, "max_concurrency": 1024}),
    "takes 100, begins at 512": ({"slots": 100, "queue_limit": 1}, {"start_concurrency": 512, "max_concurrency": 1024}),
    "5% of 429 at any level": (
        {"slots": 256, "faults": {"http_429": 0.05}, "random_faults": True},
        {"start_concurrency": 32, "max_concurrency": 256},
    ),
    "30% of 429 at any level": (
        {"slots": 256, "faults": {"http_429": 0.3}, "random_faults": True},
        {"start_concurrency": 32, "max_concurrency": 256},
    ),
    "takes 100, and 30% of 429 at any level": (
        {"slots": 100, "queue_limit": 1, "faults": {"http_429": 0.3}, "random_faults": True},
        {"start_concurrency": 32, "max_concurrency": 1024},
    ),
    "queues beyond 64, silently": ({"slots": 64}, {"start_concurrency": 32, "max_concurrency": 1024}),
    "vLLM: queues beyond 64, and says so": (
        {"slots": 64, "owned_by": "vllm"},
        {"start_concurrency": 256, "max_concurrency": 1024},
    ),
}


def measure(server_fields: Mapping[str, Any], model_fields: Mapping[str, Any], calls: int) -> dict[str, Any]:
    """Ask so many questions, half of them after the other half, and read the server's accounts."""
    config = {"models": ["small"], "record": 0, "retry_after_s": None, **LATENCY, **server_fields}
    with tempfile.TemporaryDirectory() as folder, FakeServer(**config) as server:
        fields = {"kind": "openai", "model": "small", "base_url": server.base_url, "max_retries": 1_000}
        model = OpenAIModel.model_validate({**fields, **model_fields})
        dispatcher = Dispatcher({"small": model}, {}, Path(folder))
        try:
            shares, refused = [], []
            for half in range(2):
                server.reset_stats()
                dispatcher.ask([_question(half, number) for number in range(calls // 2)])
                stats = server.stats()
                shares.append(round(stats["utilisation"], 3))
                refused.append(stats["faults"].get("http_429", 0))
        finally:
            dispatcher.close()
    names = ("busy share, first half", "busy share, second half", "429s, first half", "429s, second half")
    return dict(zip(names, [*shares, *refused], strict=True))


def _question(half: int, number: int) -> Question:
    request = {"messages": [{"role": "user", "content": f"question {number} of half {half}"}]}
    return Question("small", ledger_key("small", request, 0), request)


def main() -> None:
    """Measure each scenario and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=4_000)
    calls = parser.parse_args().calls
    figures = {name: measure(server, model, calls) for name, (server, model) in SCENARIOS.items()}
    print(json.dumps({"calls of each": calls, **figures}, indent=2))


if __name__ == "__main__":
    main()
