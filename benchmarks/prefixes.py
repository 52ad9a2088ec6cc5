"""How much of judge requests a server has to read that keeps prefixes: `python -m benchmarks.prefixes`.

Five aspects in two orders are asked about the same texts, through the dispatcher and its ledger, of simulated servers
that keep the prompts which they have answered. Printed for each way of asking: the tokens of all prompts, those that
the servers had to read, their share of what they had to read with the first way, and the seconds that it took.

The ways are: the aspect before the texts, as the prompts of earlier versions had it; the texts first; and the texts
first, with requests that begin alike sent to one address, behind the first of them.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Message
from kasasagi.tasks.judge.prompt import ASPECTS, Exhibit, build_messages, judge_messages, judge_prompt
from tests.fake_server import FakeServer
from tests.fake_server.answers import instruction, sentences

SERVER = {"models": ["critic"], "record": 0, "prefix_cache": 1_000_000, "first_token_s": 0.05}
ANSWER_LENGTH = 2_000

Ask = Callable[[Sequence[Message], Sequence[str], str], list[Message]]


def aspect_first(messages: Sequence[Message], texts: Sequence[str], aspect: str) -> list[Message]:
    """Return the request of earlier versions, which the bundled model still gets, with our words for the aspect."""
    ours = judge_prompt("en")
    prompt = replace(judge_prompt("en", bundled=True), aspects=ours.aspects)
    return build_messages(prompt, Exhibit(messages, texts, "en"), {"aspect": prompt.aspects[aspect]})


def texts_first(messages: Sequence[Message], texts: Sequence[str], aspect: str) -> list[Message]:
    """Return the request of today."""
    return judge_messages(messages, texts, aspect, "en")


def text_of(name: str, length: int) -> str:
    """Return an answer of about that length, which depends on the name alone."""
    text, number = "", 0
    while len(text) < length:
        text += sentences(f"{name}:{number}", "en") + " "
        number += 1
    return text


def questions(ask: Ask, prompts: int, by_prefix: bool) -> list[Question]:
    """Return what the judge is asked about some prompts with two answers each."""
    found = []
    for number in range(prompts):
        messages: list[Message] = [{"role": "user", "content": instruction(str(number), "en")}]
        texts = [text_of(f"{number} {side}", ANSWER_LENGTH) for side in "ab"]
        for shown, aspect in product((texts, texts[::-1]), ASPECTS):
            request = {"messages": ask(messages, shown, aspect)}
            prefix = f"{number} {shown is texts}" if by_prefix else ""
            found.append(Question("critic", ledger_key("critic", request, 0), request, prefix=prefix))
    return found


def measure(servers: Sequence[FakeServer], asked: Sequence[Question], concurrency: int) -> dict[str, Any]:
    """Ask some questions of the servers, of which none has read anything, and count the tokens."""
    for server in servers:
        server.reset_stats()
    fields = {"kind": "openai", "model": "critic", "base_url": [server.base_url for server in servers]}
    model = OpenAIModel.model_validate({**fields, "max_concurrency": concurrency})
    with tempfile.TemporaryDirectory() as folder:
        dispatcher = Dispatcher({"critic": model}, {}, Path(folder))
        begun = time.monotonic()
        try:
            answers = dispatcher.ask(asked)
        finally:
            dispatcher.close()
    return {
        "prompt tokens": sum(answer.prompt_tokens for answer in answers),
        "read tokens": sum(server.stats()["prefill_tokens"] for server in servers),
        "seconds": round(time.monotonic() - begun, 2),
    }


def compare(prompts: int, replicas: int, concurrency: int) -> dict[str, dict[str, Any]]:
    """Measure all ways of asking, with so many servers that each take so many calls at a time."""
    ways: dict[str, tuple[Ask, bool]] = {
        "aspect first": (aspect_first, False),
        "texts first": (texts_first, False),
        "texts first, by prefix": (texts_first, True),
    }
    with ExitStack() as stack:
        servers = [stack.enter_context(FakeServer(**SERVER)) for _ in range(replicas)]
        found = {
            name: measure(servers, questions(ask, prompts, by_prefix), concurrency)
            for name, (ask, by_prefix) in ways.items()
        }
    former = found["aspect first"]["read tokens"]
    return {name: {**figures, "share": round(figures["read tokens"] / former, 3)} for name, figures in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=16, help="calls in flight at each server")
    arguments = parser.parse_args()
    print(json.dumps(compare(arguments.prompts, arguments.replicas, arguments.concurrency), indent=2))


if __name__ == "__main__":
    main()
