"""A model that is asked in batches: every answer to its own question, nothing twice."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.batch.notes import BatchNotes
from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.embeddings import unpack
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Completion
from tests.blocks.batch.helpers import ask, batched, batches, notes, plain_answers
from tests.blocks.helpers import dispatching, kept, question, questions, until
from tests.fake_server import FakeServer


@pytest.mark.parametrize("noise", [False, True])
def test_answers_come_to_their_own_questions_in_whatever_order(tmp_path: Path, server: FakeServer, noise: bool) -> None:
    server.configure(batch_noise=noise)
    before = batches(server)
    answers = ask(tmp_path / "a", batched(server), 60, f"order {noise}")
    assert batches(server) == before + 1
    assert server.stats()["calls"] == 0, "nothing is sent by itself"
    assert [answer.text for answer in answers] == plain_answers(tmp_path / "b", server, 60, f"order {noise}")
    assert len(kept(tmp_path / "a", questions(60, about=f"order {noise}"))) == 60
    assert not list((tmp_path / "a" / "batches").iterdir()), "what is settled is forgotten"


def test_questions_for_both_endpoints_and_beyond_a_batchs_limit_become_several(
    tmp_path: Path, server: FakeServer
) -> None:
    before = batches(server)
    many = [*questions(10, about="limits"), *(question("x", prompt=f"raw {number}") for number in range(3))]
    raw = [type(one)(one.label, one.key, {"prompt": one.request["prompt"]}) for one in many[10:]]
    with dispatching(tmp_path, {"small": batched(server, max_requests=4)}) as dispatcher:
        answers = dispatcher.ask([*many[:10], *raw])
    assert all(answer.error is None and answer.text for answer in answers)
    assert batches(server) == before + 3 + 1


def test_vectors_come_in_batches_too(tmp_path: Path, server: FakeServer) -> None:
    request = {"input": "a magpie"}
    asked = Question("small", ledger_key("small", request, 0), request)
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        (answer,) = dispatcher.ask([asked])
    assert (answer.error, len(unpack(answer.text)) > 1) == (None, True)


def test_an_expired_batch_keeps_its_answers_and_asks_the_rest_again(tmp_path: Path, server: FakeServer) -> None:
    server.configure(batch_ending="expired", batch_share=0.5)
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        answers: list[Completion] = []
        thread = threading.Thread(target=lambda: answers.extend(dispatcher.ask(questions(40, about="late"))))
        thread.start()
        until(lambda: len(kept(tmp_path, questions(40, about="late"))) > 0)
        first = len(kept(tmp_path, questions(40, about="late")))
        server.configure(batch_ending="completed", batch_share=1.0)
        thread.join(30)
    assert 5 < first < 35
    assert all(answer.error is None for answer in answers)
    assert server.stats()["samples_begun_again"] == 0, "what was answered is not asked again"


def test_a_cancelled_batch_is_not_asked_again_in_this_run(tmp_path: Path, server: FakeServer) -> None:
    server.configure(batch_ending="cancelled", batch_share=0.5)
    before = batches(server)
    answers = ask(tmp_path, batched(server), 40, "cancelled")
    failed = [answer for answer in answers if answer.error]
    assert 5 < len(failed) < 35
    assert all(answer.transient and "cancelled" in (answer.detail or "") for answer in failed)
    assert batches(server) == before + 1
    server.configure(batch_ending="completed", batch_share=1.0)
    answers = ask(tmp_path, batched(server), 40, "cancelled")
    assert all(answer.error is None for answer in answers)


def test_a_refused_batch_ends_the_run_in_the_servers_words(tmp_path: Path, server: FakeServer) -> None:
    server.configure(batch_ending="failed")
    with pytest.raises(ModelUnusableError, match=r"refused the batch .*Enqueued token limit"):
        ask(tmp_path, batched(server), 3, "refused")
    assert not notes(tmp_path)


def test_a_batch_that_is_too_much_for_now_is_handed_over_again(tmp_path: Path, server: FakeServer) -> None:
    server.configure(batch_ending="token_limit_exceeded")
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        answers: list[Completion] = []
        thread = threading.Thread(target=lambda: answers.extend(dispatcher.ask(questions(5, about="too much"))))
        thread.start()
        until(lambda: dispatcher.counters.retried > 0)
        server.configure(batch_ending="completed")
        thread.join(30)
    assert [answer.error for answer in answers] == [None] * 5


def test_single_requests_fail_as_they_do_elsewhere(tmp_path: Path, server: FakeServer) -> None:
    server.configure(faults={"http_500": 0.2, "http_429": 0.2, "broken_off": 0.1, "context_too_long": 0.3})
    answers = ask(tmp_path, batched(server), 60, "faults")
    reasons = {answer.error for answer in answers}
    assert reasons == {None, "context_too_long"}
    assert any(answer.attempts > 1 for answer in answers)
    found = kept(tmp_path, questions(60, about="faults"))
    assert {one.error for one in found.values()} == reasons
    assert len(found) == 60


@pytest.mark.parametrize(("config", "words"), [({"status_all": 401}, "401"), ({"models": ["other"]}, "does not exist")])
def test_what_makes_batches_pointless_ends_the_run(
    tmp_path: Path, server: FakeServer, config: dict[str, Any], words: str
) -> None:
    server.configure(**config)
    with pytest.raises(ModelUnusableError, match=words):
        ask(tmp_path, batched(server), 3, f"pointless {words}")


def test_batches_of_another_address_or_model_are_left_alone(tmp_path: Path, server: FakeServer) -> None:
    store = BatchNotes(tmp_path / "batches")
    for address, identity in (("http://127.0.0.1:1/v1", "small"), (server.base_url, "large")):
        store.begin(address, identity, None, "/v1/chat/completions", [(questions(1)[0].key, b"{}\n")])
    answers = ask(tmp_path, batched(server), 2, "question")
    assert all(answer.error is None for answer in answers)
    assert len(notes(tmp_path)) == 2


def test_a_folder_takes_the_files_that_vllm_run_batch_reads(tmp_path: Path, quick: None) -> None:
    place = tmp_path / "files"
    small = batched("http://127.0.0.1:1/v1", folder=str(place))
    with dispatching(tmp_path / "ledger", {"small": small}) as dispatcher:
        answers: list[Completion] = []
        thread = threading.Thread(target=lambda: answers.extend(dispatcher.ask(questions(5, about="folder"))))
        thread.start()
        until(lambda: place.exists() and list(place.glob("*.jsonl")))
        (file,) = place.glob("*.jsonl")
        rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
        assert all(set(row) == {"custom_id", "method", "url", "body"} for row in rows)
        assert rows[0]["body"]["model"] == "small"
        results = [_result(row["custom_id"], row["body"]["messages"][0]["content"]) for row in reversed(rows)]
        whole = b"".join(results)
        output = file.with_name(f"{file.stem}.results.jsonl")
        output.write_bytes(whole[:-20])
        asyncio.run(asyncio.sleep(0.1))
        assert not answers, "a torn file is not taken"
        output.write_bytes(whole)
        thread.join(30)
    assert [answer.text for answer in answers] == [f"Echo: folder {number}" for number in range(5)]


def _result(key: str, text: str) -> bytes:
    choice = {"message": {"role": "assistant", "content": f"Echo: {text}"}, "finish_reason": "stop"}
    response = {"status_code": 200, "request_id": "r", "body": {"choices": [choice], "usage": {}}}
    return orjson.dumps({"id": "1", "custom_id": key, "response": response, "error": None}) + b"\n"


def test_only_one_address_takes_batches(server: FakeServer) -> None:
    with pytest.raises(ValueError, match="one address"):
        OpenAIModel.model_validate(
            {"kind": "openai", "model": "m", "base_url": ["http://a/v1", "http://b/v1"], "batch": True}
        )
    assert OpenAIModel.model_validate({"kind": "openai", "model": "m", "batch": True}).batch is not None
    assert OpenAIModel.model_validate({"kind": "openai", "model": "m"}).batch is None


def test_nothing_is_handed_over_during_a_hold_and_all_of_it_afterwards(tmp_path: Path, server: FakeServer) -> None:
    before = batches(server)
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        dispatcher.hold()
        found: list[Completion] = []
        waiting = threading.Thread(target=lambda: found.extend(dispatcher.ask(questions(4, about="held"))))
        waiting.start()
        until(lambda: dispatcher.counters.asked == 4)
        with pytest.raises(AssertionError):
            until(lambda: batches(server) > before, seconds=0.5)
        dispatcher.release()
        waiting.join(30)
    assert len(found) == 4
    assert batches(server) == before + 1
