"""Requests that begin alike: they go to one address, which reads their common part once."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import OpenAIModel
from tests.blocks.helpers import dispatching, errors_of, question
from tests.blocks.test_servers import NOBODY, both
from tests.fake_server import FakeServer

SHARED = 40


def about(prefix: str, count: int) -> Iterator[Question]:
    for number in range(count):
        asked = question(f"What is {prefix}? " * SHARED + f"Aspect {number}.")
        yield Question(asked.label, asked.key, asked.request, prefix=prefix)


def places(*servers: FakeServer) -> dict[str, list[int]]:
    """At which servers the questions of each prefix were answered."""
    found = defaultdict(list)
    for place, server in enumerate(servers):
        for request in server.requests():
            found[request["body"]["messages"][-1]["content"].partition("?")[0]].append(place)
    return found


def test_the_questions_of_a_prefix_go_to_one_address(server: FakeServer, second: FakeServer, tmp_path: Path) -> None:
    asked = [one for number in range(20) for one in about(f"p{number}", 5)]
    with dispatching(tmp_path, {"small": both(server, second, max_concurrency=256)}) as dispatcher:
        dispatcher.ask([question("a first one")])
        for one in (server, second):
            one.reset_stats()
        assert not [answer for answer in dispatcher.ask(asked) if answer.error]
    found = places(server, second)
    assert {len(places) for places in found.values()} == {5}
    split = [prefix for prefix, places in found.items() if len(set(places)) > 1]
    assert len(split) <= 2
    assert {places[0] for places in found.values()} == {0, 1}


def test_what_a_prefix_shares_is_read_once(server: FakeServer, tmp_path: Path) -> None:
    server.configure(prefix_cache=100_000, first_token_s=0.01)
    asked = [one for number in range(12) for one in about(f"p{number}", 5)]
    with dispatching(tmp_path, {"small": both(server, max_concurrency=4)}) as dispatcher:
        answers = dispatcher.ask(asked)
    read, sent = server.stats()["prefill_tokens"], sum(answer.prompt_tokens for answer in answers)
    assert sent / 5 < read < 0.45 * sent


def test_an_address_that_is_down_leaves_its_prefixes_to_the_other(server: FakeServer, tmp_path: Path) -> None:
    asked = [one for number in range(6) for one in about(f"p{number}", 3)]
    models: dict[str, OpenAIModel] = {"small": both(server, NOBODY, patience_s=60)}
    with dispatching(tmp_path, dict(models)) as dispatcher:
        assert not errors_of(dispatcher, asked)
    assert server.stats()["calls_finished"] == len(asked)
