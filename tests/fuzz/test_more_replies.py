"""Damaged replies of other kinds: numbers, vectors, shared samples, headers, gauges, tags and rewritings."""

import math
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.dispatch.shared_calls import read_shared
from kasasagi.blocks.endpoints.openai import read_waiting
from kasasagi.blocks.endpoints.rate_headers import LONGEST_ASKED_WAIT_S, LONGEST_QUOTA_WAIT_S, quota_wait, retry_after
from kasasagi.blocks.endpoints.reward import read_number
from kasasagi.blocks.models.embeddings import pack, read_embedding, unpack
from kasasagi.tasks.parsing import UnreadableError
from kasasagi.tasks.rewrite.write import read_rewrite
from kasasagi.tasks.tags.labels import KINDS, LABELS
from kasasagi.tasks.tags.reader import read_tags
from kasasagi.tasks.text.thoughts.thinking import split_thinking
from tests.fuzz.mutations import CHANGES, SPICE, Change, changed, mutations_of
from tests.fuzz.test_replies import check

USAGE = {"prompt_tokens": 7, "completion_tokens": 5}
SCORED = (
    orjson.dumps({"data": [{"index": 0, "score": 0.25}], "usage": USAGE}),
    b'{"data": [{"score": -1e3}], "usage": {"prompt_tokens": 12345678901234567890}}',
)
VECTORS = (
    orjson.dumps({"data": [{"embedding": [0.5, -1.25, 3.0]}], "usage": USAGE}),
    orjson.dumps({"data": [{"embedding": pack([1.0, 2.0])}], "usage": USAGE}),
)
SAMPLES = orjson.dumps(
    {"choices": [{"index": n, "text": f"sample {n} 鵲", "finish_reason": "stop"} for n in range(3)], "usage": USAGE}
)
GAUGES = b'# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{engine="0"} 3.0\nvllm:other 1e3\n'
HEADERS = (
    b"20",
    b"1.5e3",
    b"6m0s",
    b"250ms",
    b"Wed, 21 Oct 2026 07:28:00 GMT",
    b"2026-11-22T00:00:00Z",
    b"1790000000000",
)
TAGGED = (
    b"category: Math\nquality: good\ndifficulty: very hard\nlanguage: ja\nsafety: safe",
    orjson.dumps(
        {"category": "Reasoning", "quality": "poor", "difficulty": "easy", "language": "en", "safety": "safe"}
    ),
)
REWRITTEN = "Well.\n<request>\n説明して、短く。\n</request>".encode()


@given(mutations_of(*SCORED))
def test_a_damaged_score_is_a_finite_number_or_none(body: bytes) -> None:
    completion = read_number(body, "data.0.score")
    check(completion)
    if completion.error is None:
        assert math.isfinite(float(completion.text))
    else:
        assert completion.error in ("malformed_reply", "no_number")


@given(mutations_of(*VECTORS))
def test_a_damaged_vector_is_one_of_finite_numbers_or_a_passing_failure(body: bytes) -> None:
    completion = read_embedding(body)
    check(completion)
    if completion.error is None:
        vector = unpack(completion.text)
        assert vector.size
        assert all(map(math.isfinite, vector.tolist()))
    else:
        assert (completion.error, completion.transient) == ("malformed_reply", True)


@pytest.mark.parametrize("tokens", ["-5", "1e300", "9e18", "null"])
def test_tokens_that_cannot_be_are_none_so_that_a_vector_can_be_kept(tokens: str) -> None:
    body = f'{{"data": [{{"embedding": [1.0]}}], "usage": {{"prompt_tokens": {tokens}}}}}'
    assert read_embedding(body.encode()).prompt_tokens == 0


@given(mutations_of(SAMPLES))
def test_damaged_samples_are_there_or_missing_each_by_itself(body: bytes) -> None:
    with suppress(ValueError, TypeError, KeyError):
        found, came = read_shared(body, 3)
        assert len(found) == 3
        assert came >= sum(completion is not None for completion in found)
        for completion in found:
            if completion is not None:
                check(completion)
                assert completion.error in (None, "lone_surrogate")


@given(mutations_of(GAUGES))
def test_damaged_gauges_tell_how_many_wait_or_nothing(body: bytes) -> None:
    waiting = read_waiting(body.decode(errors="replace"))
    assert waiting is None or waiting >= 0


@pytest.mark.parametrize("number", ["1.2.3", "9e999", ".", "1e", "NaN", "-4"])
def test_a_gauge_that_is_no_number_tells_nothing(number: str) -> None:
    assert read_waiting(f"vllm:num_requests_waiting {number}\n") is None


@given(mutations_of(*HEADERS) | st.sampled_from(SPICE), mutations_of(b"0", b"-1", b"0.0"))
def test_damaged_headers_ask_for_a_bounded_wait_or_none(reset: bytes, remaining: bytes) -> None:
    text, left = (value.decode("latin-1") for value in (reset, remaining))
    for name in ("retry-after", "retry-after-ms"):
        wait = retry_after({name: text})
        assert wait is None or 0 <= wait <= LONGEST_ASKED_WAIT_S
    quota = quota_wait({"x-ratelimit-remaining-requests": left, "x-ratelimit-reset-requests": text})
    assert quota is None or 0 <= quota <= LONGEST_QUOTA_WAIT_S


@given(mutations_of(*TAGGED))
def test_damaged_tags_are_labels_of_their_sets_or_refused(reply: bytes) -> None:
    with suppress(UnreadableError):
        tags = read_tags(reply.decode(errors="replace"), KINDS)
        assert tags.keys() == set(KINDS)
        assert all(label in LABELS[kind] for kind, label in tags.items())


@given(CHANGES)
def test_a_damaged_rewriting_is_one_text_or_refused(changes: list[Change]) -> None:
    with suppress(UnreadableError):
        text = read_rewrite(changed(REWRITTEN, changes).decode(errors="replace"), "説明して。")
        assert text.strip() == text != ""
        assert "<request>" not in text


@given(mutations_of("<think>hm\n</think>\n\n答え`</think>`".encode(), b"hm\n</think>\nanswer <think>"))
def test_damaged_thinking_loses_no_text(reply: bytes) -> None:
    text = reply.decode(errors="replace")
    content, thinking = split_thinking(text, None)
    assert content in text
    assert thinking is None or all(thought in text for thought in thinking.splitlines())
