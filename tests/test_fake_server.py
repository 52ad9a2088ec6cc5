"""The fake server does what the other tests take its word for: answers, faults, latencies and accounts."""

import asyncio
import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from kasasagi.tasks.judge.prompt import judge_messages
from tests.fake_server import FakeServer, FaultRates, ServerConfig, sample_digest

Reply = tuple[int, dict[str, str], Any]
KANA = re.compile("[ぁ-んァ-ヶ]")


@pytest.fixture(scope="module")
def running() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def server(running: FakeServer) -> FakeServer:
    running.configure(**ServerConfig().model_dump())
    running.reset_stats()
    return running


def post(server: FakeServer, path: str, body: Any, headers: dict[str, str] | None = None) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("POST", f"/v1/{path}", body=orjson.dumps(body), headers=headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), orjson.loads(response.read())
    finally:
        connection.close()


def get(server: FakeServer, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def chat_body(text: str, model: str = "small", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def chat(server: FakeServer, text: str, model: str = "small", **fields: Any) -> Reply:
    return post(server, "chat/completions", chat_body(text, model, **fields))


def texts_in(reply: Reply) -> list[str]:
    status, _, body = reply
    assert status == 200, body
    return [choice["message"]["content"] for choice in body["choices"]]


def statuses(server: FakeServer, count: int) -> list[int]:
    return [chat(server, f"question {number}")[0] for number in range(count)]


def eventually(holds: Callable[[], bool]) -> None:
    async def wait() -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.01)

    asyncio.run(wait())


async def many(server: FakeServer, bodies: list[dict[str, Any]]) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(body: dict[str, Any]) -> None:
            async with session.post(f"{server.base_url}/chat/completions", data=orjson.dumps(body)) as response:
                await response.read()

        await asyncio.gather(*map(one, bodies))


def test_equal_requests_have_equal_answers_and_others_have_others(server: FakeServer) -> None:
    first = texts_in(chat(server, "Why?", temperature=0.8))
    assert texts_in(chat(server, "Why?", temperature=0.8)) == first
    assert texts_in(chat(server, "Why?", temperature=0.9)) != first
    assert texts_in(chat(server, "Why?", model="large", temperature=0.8)) != first
    assert (
        texts_in(post(server, "chat/completions", dict(reversed(chat_body("Why?", temperature=0.8).items())))) == first
    )


def test_answers_survive_a_new_process(server: FakeServer) -> None:
    with FakeServer() as other:
        assert texts_in(chat(other, "Why?")) == texts_in(chat(server, "Why?"))
        other.restart(other.port)
        assert texts_in(chat(other, "Why?")) == texts_in(chat(server, "Why?"))
        assert other.stats()["calls"] == 1


def test_samples_of_one_request_differ(server: FakeServer) -> None:
    texts = texts_in(chat(server, "Why?", n=5))
    assert len(set(texts)) == 5


def test_repeats_differ_only_when_asked_and_warm(server: FakeServer) -> None:
    server.configure(distinct_repeats=True)
    assert texts_in(chat(server, "Why?")) != texts_in(chat(server, "Why?"))
    assert texts_in(chat(server, "Why?", temperature=0)) == texts_in(chat(server, "Why?", temperature=0))


def test_the_answer_has_the_language_of_the_last_user_message(server: FakeServer) -> None:
    assert KANA.search(texts_in(chat(server, "空はなぜ青いのですか"))[0])
    assert texts_in(chat(server, "Why is the sky blue?"))[0].isascii()
    turns = [{"role": "user", "content": "こんにちは"}, {"role": "user", "content": "In English, please"}]
    assert texts_in(post(server, "chat/completions", {"model": "small", "messages": turns}))[0].isascii()


def test_max_tokens_cuts_the_answer(server: FakeServer) -> None:
    _, _, body = chat(server, "Why?", max_tokens=3)
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3
    whole = texts_in(chat(server, "Why?", max_tokens=3000))[0]
    assert whole.endswith(".")


def test_completions_are_instructions_and_never_the_same(server: FakeServer) -> None:
    body = {"model": "writer", "prompt": "<user>", "n": 20}
    choices = [choice for _ in range(2) for choice in post(server, "completions", body)[2]["choices"]]
    assert len({choice["text"] for choice in choices}) == 40
    assert {choice["finish_reason"] for choice in choices} == {"stop"}


@pytest.mark.parametrize(
    ("prompt", "prompts"), [([1, 2, 3], 1), ([[1, 2], [3]], 2), ("<user>", 1), (["a", "b", "c"], 3)]
)
def test_completions_take_texts_and_token_ids_alone_and_in_lists(server: FakeServer, prompt: Any, prompts: int) -> None:
    _, _, body = post(server, "completions", {"model": "writer", "prompt": prompt, "n": 2})
    assert [choice["index"] for choice in body["choices"]] == list(range(2 * prompts))
    assert len(server.samples()) == prompts
    assert server.stats()["samples_finished"] == 2 * prompts


def test_completions_speak_the_wanted_language(server: FakeServer) -> None:
    server.configure(instruction_language="mixed")
    _, _, body = post(server, "completions", {"model": "writer", "prompt": [1], "n": 10})
    assert [bool(KANA.search(choice["text"])) for choice in body["choices"]] == [False, True] * 5


@pytest.mark.parametrize(("language", "label"), [("en", "Rating:"), ("ja", "評点:")])
def test_the_judge_rates_each_text_alone(server: FakeServer, language: Any, label: str) -> None:
    def ratings(texts: list[str]) -> list[int]:
        messages = judge_messages([{"role": "user", "content": "Why?"}], texts, "honesty", language)
        reply = texts_in(post(server, "chat/completions", {"model": "critic", "messages": messages}))[0]
        return [int(number) for number in re.findall(rf"^{label} ([1-5])$", reply, re.MULTILINE)]

    texts = [f"answer {number}\n\nin two parts" for number in range(12)]
    forward = ratings(texts)
    assert len(forward) == 12
    assert len(set(forward)) > 2
    assert ratings(texts[::-1]) == forward[::-1]
    server.configure(judge_position_bias=1.0)
    assert ratings(texts) == [min(5, forward[0] + 1), *forward[1:]]


def test_an_unreadable_judge_gives_no_rating_in_the_form(server: FakeServer) -> None:
    server.configure(judge_unreadable=1.0)
    for number in range(10):
        messages = judge_messages([{"role": "user", "content": "Why?"}], ["a", str(number)], "honesty", "en")
        reply = texts_in(post(server, "chat/completions", {"model": "critic", "messages": messages}))[0]
        assert not re.search(r"^Rating: [1-5]$", reply, re.MULTILINE)


@pytest.mark.parametrize(
    ("reasoning", "field", "content"),
    [
        ("field", "reasoning", r"[^<]+"),
        ("field_content", "reasoning_content", r"[^<]+"),
        ("think_tags", None, r"<think>\n.+\n</think>\n\n[^<]+"),
        ("lone_close", None, r"[^<]+\n</think>\n\n[^<]+"),
    ],
)
def test_reasoning_comes_in_the_wanted_place(
    server: FakeServer, reasoning: str, field: str | None, content: str
) -> None:
    server.configure(reasoning=reasoning)
    message = chat(server, "Why?")[2]["choices"][0]["message"]
    assert set(message) == {"role", "content", *([field] if field else [])}
    assert re.fullmatch(content, message["content"])


def test_models_keys_and_bad_bodies_are_checked(server: FakeServer) -> None:
    server.configure(models=["small"], api_key="secret")
    status, _, body = chat(server, "Why?")
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")
    key = {"Authorization": "Bearer secret"}
    assert post(server, "chat/completions", chat_body("Why?"), key)[0] == 200
    status, _, body = post(server, "chat/completions", chat_body("Why?", "unknown"), key)
    assert (status, body["error"]["code"]) == (404, "model_not_found")
    assert post(server, "chat/completions", {"model": "small"}, key)[0] == 400
    stats = server.stats()
    assert (stats["calls"], stats["calls_finished"], stats["calls_failed"]) == (4, 1, 3)
    assert stats["statuses"] == {"200": 1, "400": 1, "401": 1, "404": 1}


def test_models_are_listed(server: FakeServer) -> None:
    server.configure(models=["small", "large"])
    status, data = get(server, "/v1/models")
    assert (status, [model["id"] for model in orjson.loads(data)["data"]]) == (200, ["small", "large"])


def test_one_status_for_everything(server: FakeServer) -> None:
    server.configure(status_all=503)
    assert chat(server, "Why?")[0] == 503
    assert get(server, "/v1/models")[0] == 503


def test_transient_faults_pass_and_repeat_with_the_seed(server: FakeServer) -> None:
    server.configure(faults={"http_429": 0.3, "http_500": 0.2})
    first, second = statuses(server, 60), statuses(server, 60)
    assert {200, 429, 500} == set(first)
    assert any(a != 200 and b == 200 for a, b in zip(first, second, strict=True))
    server.reset_stats()
    assert statuses(server, 60) == first
    server.reset_stats()
    server.configure(seed=1)
    assert statuses(server, 60) != first


def test_transient_faults_may_stick(server: FakeServer) -> None:
    server.configure(faults={"http_500": 0.5}, transient_forever=True)
    assert statuses(server, 20) == statuses(server, 20)
    server.configure(faults={})
    assert set(statuses(server, 20)) == {200}


def test_lasting_faults_last(server: FakeServer) -> None:
    server.configure(faults={"context_too_long": 0.5})
    first = statuses(server, 20)
    assert set(first) == {200, 400}
    assert statuses(server, 20) == first
    assert server.stats()["faults"] == {"context_too_long": 2 * first.count(400)}


def test_faults_may_concern_one_model_only(server: FakeServer) -> None:
    server.configure(faults={"http_500": 1.0}, fault_models=["small"])
    assert [chat(server, "Why?", model)[0] for model in ("small", "large")] == [500, 200]


def test_too_long_is_said_as_openai_says_it(server: FakeServer) -> None:
    server.configure(faults={"context_too_long": 1.0})
    status, _, body = chat(server, "Why?")
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")


def test_a_429_says_when_to_come_back(server: FakeServer) -> None:
    server.configure(faults={"http_429": 1.0}, retry_after_s=1.5)
    assert chat(server, "Why?")[1]["Retry-After"] == "1.5"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset", (http.client.RemoteDisconnected, ConnectionResetError)),
        ("cut_body", http.client.IncompleteRead),
        ("malformed_json", orjson.JSONDecodeError),
    ],
)
def test_broken_answers_are_broken_as_named(server: FakeServer, fault: str, error: Any) -> None:
    server.configure(faults={fault: 1.0})
    with pytest.raises(error):
        chat(server, "Why?")
    stats = server.stats()
    assert stats["faults"] == {fault: 1}
    assert (stats["calls_finished"], stats["calls_failed"], stats["calls_aborted"]) == (0, 1, 0)


def test_empty_refused_and_truncated_contents(server: FakeServer) -> None:
    server.configure(faults={"empty_content": 1.0})
    assert texts_in(chat(server, "Why?")) == [""]
    server.configure(faults={"refusal": 1.0})
    assert KANA.search(texts_in(chat(server, "どうして"))[0])
    server.configure(faults={"truncated": 1.0})
    assert chat(server, "Why?")[2]["choices"][0]["finish_reason"] == "length"


def test_a_hanging_call_is_in_flight_until_its_client_leaves(server: FakeServer) -> None:
    server.configure(faults={"hang": 1.0})
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/v1/chat/completions", body=orjson.dumps(chat_body("Why?", n=3)))
    eventually(lambda: server.stats()["in_flight"] == 1)
    connection.close()
    eventually(lambda: server.stats()["in_flight"] == 0)
    stats = server.stats()
    assert (stats["calls_aborted"], stats["samples_aborted"], stats["calls_finished"]) == (1, 3, 0)


def test_samples_are_counted_by_their_digest(server: FakeServer) -> None:
    chat(server, "Why?", n=2)
    chat(server, "Why?", user="somebody")
    chat(server, "How?")
    assert server.samples() == {
        sample_digest(chat_body("Why?")): {"begun": 3, "finished": 3, "aborted": 0},
        sample_digest(chat_body("How?")): {"begun": 1, "finished": 1, "aborted": 0},
    }
    stats = server.stats()
    assert (stats["samples_begun"], stats["samples_distinct"], stats["samples_finished_again"]) == (4, 2, 2)
    assert stats["by_model"]["small"]["samples_finished"] == 4
    assert stats["by_endpoint"]["chat/completions"]["calls"] == 3


def test_requests_are_recorded_up_to_the_bound(server: FakeServer) -> None:
    server.configure(record=2)
    for text in ("first", "second", "third"):
        chat(server, text)
    assert [request["body"] for request in server.requests()] == [chat_body("second"), chat_body("third")]
    server.configure(record=0)
    chat(server, "fourth")
    assert server.requests() == []


def test_slots_bound_what_is_served_and_their_time_is_accounted(server: FakeServer) -> None:
    server.configure(slots=8, first_token_s=0.02, per_token_s=0.001, tokens_mean=30, tokens_sd=5)
    asyncio.run(many(server, [chat_body(f"question {number}") for number in range(64)]))
    stats = server.stats()
    tokens = stats["by_model"]["small"]["completion_tokens"]
    assert 8 < stats["peak_in_flight"] <= 64  # more than the slots wait, however the machine staggers them
    assert stats["service_seconds"] == pytest.approx(64 * 0.02 + tokens * 0.001)
    assert stats["busy_slot_seconds"] >= stats["service_seconds"] * 0.99
    assert stats["busy_slot_seconds"] <= 8 * stats["span_s"] * 1.01
    assert stats["utilisation"] == pytest.approx(stats["busy_slot_seconds"] / (8 * stats["span_s"]))


def test_the_tokens_of_a_request_are_always_the_same(server: FakeServer) -> None:
    server.configure(tokens_mean=100, tokens_sd=30)
    counts = [chat(server, text)[2]["usage"]["completion_tokens"] for text in ("a", "b", "c", "a", "b", "c")]
    assert counts[:3] == counts[3:]
    assert len(set(counts)) == 3


def test_a_full_queue_shows_in_the_metrics_and_turns_calls_away(server: FakeServer) -> None:
    server.configure(slots=1, first_token_s=600, queue_limit=2)
    waiting = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(3)]
    for number, connection in enumerate(waiting):
        connection.request("POST", "/v1/chat/completions", body=orjson.dumps(chat_body(str(number))))
    eventually(lambda: server.stats()["waiting"] == 2)
    metrics = get(server, "/metrics")[1].decode()
    assert re.search(r"^vllm:num_requests_running\{.*\} 1\.0$", metrics, re.MULTILINE)
    assert re.search(r"^vllm:num_requests_waiting\{.*\} 2\.0$", metrics, re.MULTILINE)
    assert chat(server, "one more")[0] == 429
    for connection in waiting:
        connection.close()
    eventually(lambda: server.stats()["running"] == server.stats()["waiting"] == 0)


def test_wrong_settings_are_refused(server: FakeServer) -> None:
    with pytest.raises(ValueError, match=r"sum to 1\.2"):
        FaultRates(http_429=0.6, reset=0.6)
    with pytest.raises(ValueError, match="tokens_mean is 0"):
        server.configure(per_token_s=0.1)
    assert chat(server, "Why?")[0] == 200


def test_the_process_ends_with_its_holder() -> None:
    with FakeServer() as server:
        pid = server.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_process_ends_when_its_holder_is_killed() -> None:
    code = (
        "import signal\nfrom tests.fake_server import FakeServer\n"
        "with FakeServer() as server:\n    print(server.port, flush=True)\n    signal.pause()"
    )
    root = Path(__file__).parents[1]
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    server = FakeServer(port=int(holder.stdout.readline()))
    assert get(server, "/_admin/stats")[0] == 200
    holder.send_signal(signal.SIGKILL)
    holder.communicate()

    def gone() -> bool:
        try:
            get(server, "/_admin/stats")
        except OSError:
            return True
        return False

    eventually(gone)


def test_the_port_file_holds_the_port_when_the_server_is_ready(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [
        sys.executable,
        "-m",
        "tests.fake_server",
        "--port-file",
        str(port_file),
        "--config",
        '{"models": ["x"]}',
    ]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.DEVNULL)
    try:
        eventually(port_file.exists)
        server = FakeServer(port=int(port_file.read_text(encoding="utf-8")))
        assert chat(server, "Why?", model="x")[0] == 200
    finally:
        process.kill()
        process.wait()


def test_what_it_keeps_of_answered_prompts_is_not_read_again(server: FakeServer) -> None:
    server.configure(prefix_cache=40)
    usages = [chat(server, text)[2]["usage"] for text in ("a" * 640 + "x", "a" * 640 + "y", "b" * 6_400, "a" * 640)]
    known = [usage.get("prompt_tokens_details", {}).get("cached_tokens", 0) for usage in usages]
    assert known[0] == known[2] == known[3] == 0, "the third prompt fills the cache"
    assert 150 < known[1] < usages[1]["prompt_tokens"]
    assert server.stats()["prefill_tokens"] == sum(usage["prompt_tokens"] for usage in usages) - known[1]
