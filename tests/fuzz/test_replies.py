"""Damaged replies of servers and judges: a completion, a failure or a refusal, and never a rating that nobody gave."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kasasagi.blocks.dispatch.batch.result_lines import read_results
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint, read_reply
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Completion
from kasasagi.tasks.judge.replies.comparing import read_comparison
from kasasagi.tasks.judge.replies.places import rating_places
from kasasagi.tasks.judge.replies.rating_words import RatingScale
from kasasagi.tasks.judge.replies.reader import UnreadableReply, read_ratings
from kasasagi.tasks.judge.replies.together import read_together, together_places
from tests.fuzz.mutations import CHANGES, Change, changed, mutations_of

CHAT = {
    "id": "c",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "鵲 and more."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 9},
}
TEXT = {"choices": [{"text": "more", "finish_reason": "length"}], "usage": None}
TOP = {"token": "4", "logprob": -0.2, "bytes": [52], "top_logprobs": [{"token": "5", "logprob": -1.5, "bytes": [53]}]}
WEIGHED = {"choices": [{"message": {"content": "4"}, "finish_reason": "stop", "logprobs": {"content": [TOP]}}]}
BODIES = (orjson.dumps(CHAT), orjson.dumps(TEXT), orjson.dumps(WEIGHED), b'{"error": {"message": "no", "code": 5}}')
KEY = "0" * 31 + "1"
LINES = tuple(
    orjson.dumps({"id": "r", "custom_id": KEY, "response": response, "error": error})
    for response, error in (
        ({"status_code": 200, "body": CHAT}, None),
        (
            {"status_code": 400, "body": {"error": {"message": "context length", "code": "context_length_exceeded"}}},
            None,
        ),
        (None, {"code": "batch_expired", "message": "late"}),
    )
)
RATED = (
    "#### Output for Text 1\nRationale: It is right, 5 of 5.\nRating: 4\n\n"
    "#### Output for Text 2\nRationale: No.\nRating: 2",
    "#### 文章 1 の評価\n理由: 正しい。\n評点: 4\n\n#### 文章 2 の評価\n理由: 違う。\n評点: 2",
    '{"ratings": [{"text": 1, "rating": 4, "rationale": "a"}, {"text": 2, "rating": 2, "rationale": "b"}]}',
)

ASPECTS = {"honesty": (RatingScale(1, 5), ("誠実さ",)), "helpfulness": (RatingScale(1, 5), ("有用さ",))}
TOGETHER = (
    "### Aspect: honesty\n#### Output for Text 1\nRationale: a\nRating: 4\n\n"
    "### Aspect: helpfulness\n#### Output for Text 1\nRationale: b\nRating: 2",
    '{"honesty": [{"text": 1, "rating": 4, "rationale": "a"}], "helpfulness": [{"text": 1, "rating": 2}]}',
)


def check(completion: Completion) -> None:
    """What a completion always is, whatever came: fit to be kept and counted."""
    orjson.dumps(completion.text)
    assert completion.prompt_tokens >= 0
    assert completion.completion_tokens >= 0
    if completion.error is not None:
        assert not completion.text
        assert (completion.detail or "").encode() is not None


@given(mutations_of(*BODIES))
def test_a_damaged_reply_is_a_completion_or_a_passing_failure(body: bytes) -> None:
    completion = read_reply(body)
    check(completion)
    assert completion.error in (None, "malformed_reply")


@given(st.lists(mutations_of(*LINES) | st.sampled_from(LINES), max_size=5))
def test_damaged_results_of_a_batch_belong_to_nobody_else(lines: list[bytes]) -> None:
    found = read_results(lines, frozenset({KEY}))
    assert set(found) <= {KEY}
    for completion in found.values():
        check(completion)


@given(st.sampled_from(RATED), CHANGES)
def test_a_damaged_verdict_is_read_within_its_scale_or_refused(reply: str, changes: list[Change]) -> None:
    text = changed(reply.encode(), changes).decode(errors="replace")
    try:
        verdicts = read_ratings(text, 2)
    except UnreadableReply:
        return
    assert len(verdicts) == 2
    assert all(verdict.rating in (1, 2, 3, 4, 5) for verdict in verdicts)
    ratings = [verdict.rating for verdict in verdicts]
    for place, rating in zip(rating_places(text, ratings, []), ratings, strict=True):
        assert place is None or float(text[slice(*place)]) == rating


@given(st.sampled_from(TOGETHER), CHANGES)
def test_a_damaged_verdict_on_several_aspects_is_read_within_its_scale_or_refused(
    reply: str, changes: list[Change]
) -> None:
    text = changed(reply.encode(), changes).decode(errors="replace")
    try:
        verdicts = read_together(text, 1, ASPECTS)
    except UnreadableReply:
        return
    ratings = [verdict.rating for verdict in verdicts]
    assert len(ratings) == 2
    assert set(ratings) <= {1, 2, 3, 4, 5}
    for place, rating in zip(together_places(ASPECTS, text, ratings, []), ratings, strict=True):
        assert place is None or float(text[slice(*place)]) == rating


@settings(max_examples=settings().max_examples // 2)
@given(st.sampled_from(RATED), st.text(max_size=40), st.floats(0, 1))
def test_words_within_a_rationale_change_no_rating(reply: str, words: str, place: float) -> None:
    """Whatever is put into one line of a rationale, as long as it stays one line and adds no quotes."""
    marks = [mark for mark in ("It is right", "正しい", '"a"') if mark in reply]
    clean = " ".join("".join(one for one in words if one.isprintable() and one not in '"\\').split())
    start = reply.index(marks[0]) + 1
    text = reply[:start] + clean + reply[start:]
    try:
        verdicts = read_ratings(text, 2)
    except UnreadableReply:
        return
    assert [verdict.rating for verdict in verdicts] == [4, 2]


@given(mutations_of(b"Rationale: a\nBetter: A", b'{"better": "B", "rationale": "x"}', b"\xe7\x90\x86\xe7\x94\xb1: a"))
def test_a_damaged_comparison_is_read_or_refused(reply: bytes) -> None:
    try:
        verdicts = read_comparison(reply.decode(errors="replace"))
    except UnreadableReply:
        return
    assert len(verdicts) == 2


class Damaging(ThreadingHTTPServer):
    """A server whose every reply is the one given, byte for byte, headers and all."""

    daemon_threads = True
    reply = b""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        assert isinstance(self.server, Damaging)
        self.wfile.write(self.server.reply)
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def damaging() -> Iterator[Damaging]:
    server = Damaging(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


HEAD = "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nRetry-After: 1\r\n\r\n"
WIRE = tuple(
    HEAD.format(status=status, length=len(body)).encode() + body
    for status in ("200 OK", "429 Too Many", "500 Oh")
    for body in BODIES
)


@settings(max_examples=settings().max_examples // 4)
@given(data=mutations_of(*WIRE))
def test_damage_on_the_wire_is_a_completion_or_a_failure_in_time(damaging: Damaging, data: bytes) -> None:
    damaging.reply = data
    model = OpenAIModel(
        kind="openai", model="m", base_url=f"http://127.0.0.1:{damaging.server_address[1]}/v1", timeout_s=1
    )

    async def ask() -> Completion:
        endpoint = OpenAIEndpoint.connect(model, model.addresses[0])
        try:
            return await asyncio.wait_for(
                endpoint.complete({"messages": [{"role": "user", "content": "hello"}]}), timeout=20
            )
        finally:
            await endpoint.close()

    completion = asyncio.run(ask())
    check(completion)
    json.dumps(completion.detail)
