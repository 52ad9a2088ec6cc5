"""Shared calls that go wrong: what is kept, what is asked again, and how many samples later calls ask for."""

import json
from pathlib import Path

import pytest

from kasasagi.blocks.dispatch.shared_calls import TOLERATED_INCOMPLETE
from tests.blocks.helpers import Reply, ScriptedServer, dispatching, error_body, kept, model
from tests.blocks.test_chat_samples import choice, numbers, reply, samples, scripted
from tests.fake_server import FakeServer


def content(server: ScriptedServer) -> str:
    """What the last call said."""
    return str(json.loads(server.bodies[-1])["messages"][0]["content"])


def whole(server: ScriptedServer, number: int) -> Reply:
    """A reply to the last call that lacks nothing."""
    return reply([choice(place, f"{number} {place}") for place in range(numbers(server)[-1])], 10, 10)


def test_half_a_character_in_one_sample_costs_no_other_one(tmp_path: Path) -> None:
    with scripted(lambda number: reply([choice(0, "whole"), choice(1, "half \ud83d")], 10, 30)) as server:
        with dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher:
            answers = dispatcher.ask(samples(2))
            assert dispatcher.counters.completion_tokens == 30
        assert numbers(server) == [2]
    assert [one.error for one in answers] == [None, "lone_surrogate"]
    assert len(kept(tmp_path, samples(2))) == 2


def test_choices_that_all_have_one_index_are_samples_all_the_same(tmp_path: Path) -> None:
    with scripted(lambda number: reply([choice(0, f"sample {place}") for place in range(3)], 10, 30)) as server:
        with dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher:
            answers = dispatcher.ask(samples(3))
        assert numbers(server) == [3]
    assert [one.text for one in answers] == ["sample 0", "sample 1", "sample 2"]


def test_a_sample_that_broke_off_does_not_end_sharing(tmp_path: Path) -> None:
    def answer(number: int) -> Reply:
        if number:
            return whole(server, number)
        return reply([choice(0, "whole"), choice(1, "half a", finish_reason="error")])

    with scripted(answer) as server:
        with dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher:
            for text in "ab":
                dispatcher.ask(samples(2, text))
        assert numbers(server) == [2, 1, 2]


def test_prompts_that_the_server_refuses_to_answer_do_not_end_sharing(tmp_path: Path) -> None:
    def answer(number: int) -> Reply:
        if content(server).startswith("bad"):
            return 400, {}, error_body("The response was filtered", "content_filter")
        return whole(server, number)

    with scripted(answer) as server:
        with dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher:
            bad = [one for number in range(4) for one in samples(2, f"bad {number}")]
            assert {one.error for one in dispatcher.ask(bad)} == {"refused_by_server"}
            dispatcher.ask(samples(2, "good"))
        assert numbers(server)[-1] == 2


def test_a_server_that_takes_a_few_samples_a_call_is_asked_for_so_many(tmp_path: Path) -> None:
    def answer(number: int) -> Reply:
        if numbers(server)[-1] > 8:
            return 400, {}, error_body("Invalid 'n': integer above maximum value. Expected a value <= 8.")
        return whole(server, number)

    logged: list[str] = []
    with scripted(answer) as server:
        with dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher:
            dispatcher.log = logged.append
            for text in "abcde":
                assert not [one for one in dispatcher.ask(samples(16 + 2, text)) if one.error]
        sent = numbers(server)
    assert (sent.count(16), sent[-6:]) == (3, [8, 8, 2] * 2)
    assert len([line for line in logged if "8 at most" in line]) == len(logged) == 1


def test_what_a_server_took_no_call_for_shares_its_next_call(tmp_path: Path) -> None:
    def answer(number: int) -> Reply:
        return whole(server, number) if number else (429, {"retry-after": "0"}, error_body("Slow down."))

    with scripted(answer) as server:
        with dispatching(tmp_path, {"small": model(server.base_url, samples_per_call=4)}) as dispatcher:
            answers = dispatcher.ask(samples(4))
            assert dispatcher.counters.prompt_tokens == 20
        assert numbers(server) == [4, 2, 2], "half as many, since it may be the call that is too large"
    assert [one.attempts for one in answers] == [2] * 4


@pytest.mark.parametrize("failure", [(500, {}, b"{}"), (200, {}, b"{")])
def test_what_may_itself_be_why_a_call_failed_is_asked_alone(tmp_path: Path, failure: Reply) -> None:
    with scripted(lambda number: whole(server, number) if number else failure) as server:
        with dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher:
            dispatcher.ask(samples(3))
        assert numbers(server) == [3, 1, 1, 1]


def test_a_call_asks_for_no_more_than_half_of_the_tokens_of_a_minute(tmp_path: Path) -> None:
    with scripted(lambda number: whole(server, number)) as server:
        small = model(server.base_url, tokens_per_minute=60_000)
        with dispatching(tmp_path, {"small": small}) as dispatcher:
            dispatcher.ask(samples(8, max_tokens=5_000))
        assert max(numbers(server)) == 6


def test_where_calls_wait_in_a_queue_two_samples_count_as_one_call(tmp_path: Path) -> None:
    with FakeServer(models=("small",), owned_by="vllm") as server:
        server.configure(first_token_s=0.1)
        with dispatching(tmp_path, {"small": model(server, max_concurrency=8)}) as dispatcher:
            dispatcher.ask([one for text in "abcdefghij" for one in samples(4, text)])
        assert server.stats()["peak_in_flight"] == 4


def test_elsewhere_a_call_counts_once_whatever_it_asks_for(tmp_path: Path) -> None:
    with FakeServer(models=("small",)) as server:
        server.configure(first_token_s=0.1)
        with dispatching(tmp_path, {"small": model(server, max_concurrency=2, samples_per_call=4)}) as dispatcher:
            dispatcher.ask([one for text in "abcdef" for one in samples(4, text)])
        assert server.stats()["peak_in_flight"] == 2


def test_a_server_that_breaks_at_every_shared_call_gets_single_ones(tmp_path: Path) -> None:
    def answer(number: int) -> Reply:
        return (500, {}, error_body("internal error")) if numbers(server)[-1] > 1 else whole(server, number)

    with scripted(answer) as server:
        with dispatching(tmp_path, {"small": model(server.base_url, max_retries=3, max_concurrency=1)}) as dispatcher:
            for number in range(TOLERATED_INCOMPLETE + 3):
                assert all(one.error is None for one in dispatcher.ask(samples(2, f"prompt {number}")))
        assert sum(asked > 1 for asked in numbers(server)) == TOLERATED_INCOMPLETE
