"""What a server's reply means: any body is a completion or a reason, and each error status is what it should be."""

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.canonical import canonical
from kasasagi.blocks.endpoints.failures import read_failure
from kasasagi.blocks.endpoints.openai import read_reply
from kasasagi.blocks.endpoints.rate_headers import LONGEST_ASKED_WAIT_S
from kasasagi.blocks.models.llm import MOST_TOKENS, Completion

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def choice_of(message: Any, **fields: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], **fields}).encode()


def check(completion: Completion, value: Any = None) -> None:
    """It is an answer or a passing error, or holds a part of an unknown kind if it holds any, and can be kept."""
    of_parts = ["unknown_content"] if isinstance(value, list | dict) and value else []
    assert completion.error in (None, "malformed_reply", "server_error", *of_parts)
    assert completion.transient == (completion.error not in (None, "unknown_content"))
    assert 0 <= completion.prompt_tokens <= MOST_TOKENS
    assert 0 <= completion.completion_tokens <= MOST_TOKENS
    canonical([completion.text, completion.reasoning, completion.finish_reason, completion.stop_reason])
    canonical([completion.detail, completion.prompt_tokens, completion.completion_tokens])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_raising(body: bytes) -> None:
    check(read_reply(body))


@given(JSON)
def test_any_json_is_read_without_raising(value: Any) -> None:
    check(read_reply(json.dumps(value).encode()))


@given(JSON, JSON, JSON, JSON)
def test_any_values_in_the_right_places_are_read_without_raising(
    content: Any, reasoning: Any, reason: Any, tokens: Any
) -> None:
    message = {"content": content, "reasoning": reasoning}
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens}
    choice = {"message": message, "finish_reason": reason, "stop_reason": reason}
    check(read_reply(json.dumps({"choices": [choice], "usage": usage}).encode()), content)
    moved = {"choices": [{"message": content, "text": reasoning}], "usage": tokens}
    check(read_reply(json.dumps(moved).encode()), content)
    check(read_reply(json.dumps({"choices": content, "usage": usage}).encode()), content)


def test_a_good_reply_is_read_whole() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    body = choice_of({"content": "鵲", "reasoning_content": "hm"}, usage=usage)
    assert read_reply(body) == Completion("鵲", "hm", "stop", None, 3, 4)


def test_a_text_completion_is_read_and_token_stops_are_texts() -> None:
    body = json.dumps({"choices": [{"text": " an idea", "finish_reason": "stop", "stop_reason": 128009}]}).encode()
    assert read_reply(body) == Completion(" an idea", None, "stop", "128009")


def test_no_content_is_an_empty_answer() -> None:
    assert read_reply(choice_of({"content": None, "tool_calls": [{"id": "a"}]})).text == ""
    assert read_reply(choice_of({"content": None})).error is None


@pytest.mark.parametrize("tokens", [-5, 2**70, 1e30, None, "12"])
def test_token_counts_are_ones_that_can_be(tokens: Any) -> None:
    completion = read_reply(choice_of({"content": "a"}, usage={"prompt_tokens": tokens}))
    assert completion.prompt_tokens == (12 if tokens == "12" else 0)
    assert completion.error is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"error": {"message": "busy"}}',
        b"<html>busy</html>",
        b'{"choices": [{"message": {"content": "cut',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_completion_passes(body: bytes) -> None:
    completion = read_reply(body)
    assert (completion.error, completion.transient) == ("malformed_reply", True)


def broken(reason: str | None, **choice: Any) -> Completion:
    one = {"message": {"content": "Rating: 1"}, "finish_reason": reason, **choice}
    return read_reply(json.dumps({"choices": [one], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}).encode())


@pytest.mark.parametrize("reason", ["error", "ERROR", "insufficient_system_resource", "network_error", "abort"])
def test_a_text_that_broke_off_is_a_failure_that_may_pass_and_not_an_answer(reason: str) -> None:
    completion = broken(reason)
    assert (completion.error, completion.transient, completion.text) == ("server_error", True, "")
    assert f"broke off after 9 characters (finish_reason {reason})" in str(completion.detail)
    assert (completion.prompt_tokens, completion.completion_tokens) == (9, 3)


@pytest.mark.parametrize("reason", [None, "stop", "error"])
def test_an_error_that_stands_in_a_choice_is_told(reason: str | None) -> None:
    completion = broken(reason, error={"code": 502, "message": "Provider disconnected", "metadata": {}})
    assert (completion.error, completion.transient) == ("server_error", True)
    assert str(completion.detail).endswith("502 Provider disconnected")


@pytest.mark.parametrize("reason", [None, "", "stop", "length", "content_filter", "tool_calls", "some_other_end"])
@pytest.mark.parametrize("error", [None, {}, ""])
def test_any_other_end_is_an_answer_with_its_reason(reason: str | None, error: Any) -> None:
    completion = broken(reason, error=error)
    assert (completion.error, completion.text, completion.finish_reason) == (None, "Rating: 1", reason)


def failure(status: int, body: Any, path: str = "chat/completions", **headers: str) -> Completion:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = httpx2.Request("POST", f"http://server/v1/{path}")
    response = httpx2.Response(status, headers=headers, content=data, request=request)
    client = openai.OpenAI(api_key="k", base_url="http://server/v1")
    return read_failure(client._make_status_error_from_response(response))


def error_body(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "type": None}}


@pytest.mark.parametrize(("path", "tells"), [("completions", True), ("chat/completions", False), ("embeddings", False)])
def test_a_server_that_has_chat_alone_is_told_from_one_without_the_model(path: str, tells: bool) -> None:
    detail = failure(404, error_body("Not Found"), path).detail
    assert detail is not None
    assert detail.startswith("404: Not Found")
    assert ("it only answers chats; Magpie continues a text" in detail) is tells


@pytest.mark.parametrize(
    ("status", "body", "error", "kind"),
    [
        (401, error_body("no"), "not_authorised", "fatal"),
        (403, error_body("no"), "not_authorised", "fatal"),
        (403, error_body("your input was flagged by moderation"), "refused_by_server", "lasting"),
        (404, error_body("no such model"), "not_found", "fatal"),
        (402, error_body("pay"), "out_of_credit", "fatal"),
        (429, error_body("quota", "insufficient_quota"), "out_of_credit", "fatal"),
        (429, error_body("slow down"), "rate_limited", "transient"),
        (408, error_body(""), "server_error", "transient"),
        (409, error_body(""), "server_error", "transient"),
        (425, error_body(""), "server_error", "transient"),
        (500, b"<html>", "server_error", "transient"),
        (503, b"", "server_error", "transient"),
        (529, error_body("overloaded"), "server_error", "transient"),
        (413, b"", "context_too_long", "lasting"),
        (400, error_body("too long", "context_length_exceeded"), "context_too_long", "lasting"),
        (400, error_body("This model's maximum context length is 8192 tokens"), "context_too_long", "lasting"),
        (400, error_body("x", "content_filter"), "refused_by_server", "lasting"),
        (400, error_body("bad parameter"), "rejected_by_server", "lasting"),
        (422, {"detail": [{"loc": ["body"]}]}, "rejected_by_server", "lasting"),
    ],
)
def test_each_status_means_what_it_should(status: int, body: Any, error: str, kind: str) -> None:
    completion = failure(status, body)
    assert completion.error == error
    assert (completion.fatal, completion.transient) == (kind == "fatal", kind == "transient")


GEMINI = "API key not valid. Please pass a valid API key."
GOOGLE = {"code": 400, "message": GEMINI, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}
LOW = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."
ANTHROPIC = {"type": "error", "error": {"type": "invalid_request_error", "message": LOW}, "request_id": "req_1"}
LIMITS = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
SUSPENDED = "Account ours is suspended, possibly due to reaching the monthly spending limit"
RECHARGE = "[1113][Insufficient balance or no resource package. Please recharge.][20260922232915]"
GOOD_STANDING = "Access denied, please make sure your account is in good standing."


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, [{"error": GOOGLE}], "not_authorised"),
        (400, {"error": {"message": json.dumps({"error": GOOGLE}), "code": 400}}, "not_authorised"),
        (400, error_body("API key expired. Please renew the API key."), "not_authorised"),
        (400, error_body("Missing or invalid Authorization header."), "not_authorised"),
        (400, {"code": "invalid argument", "error": "Incorrect API key provided: sk***YA."}, "not_authorised"),
        (400, error_body("no", "invalid_api_key"), "not_authorised"),
        (400, b"Invalid API key", "not_authorised"),
        (422, {"detail": "Missing API key"}, "not_authorised"),
        (403, error_body("Your API key was flagged", "invalid_api_key"), "not_authorised"),
        (400, error_body("This organization has been disabled."), "not_authorised"),
        (400, ANTHROPIC, "out_of_credit"),
        (400, {"type": "error", "error": {"type": "invalid_request_error", "message": LIMITS}}, "out_of_credit"),
        (400, error_body("Billing hard limit has been reached", "billing_hard_limit_reached"), "out_of_credit"),
        (400, error_body("Billing hard limit has been reached"), "out_of_credit"),
        (400, error_body("Insufficient Balance"), "out_of_credit"),
        (400, {"error": {"code": "Arrearage", "message": GOOD_STANDING}}, "out_of_credit"),
        (403, {"code": 30001, "message": "Sorry, your account balance is insufficient"}, "out_of_credit"),
        (412, {"error": {"message": SUSPENDED, "code": "PRECONDITION_FAILED"}}, "out_of_credit"),
        (429, {"error": {"code": "1113", "message": RECHARGE}}, "out_of_credit"),
        (
            429,
            error_body("Your account is not active, please check your billing", "billing_not_active"),
            "out_of_credit",
        ),
    ],
)
def test_a_key_or_an_account_at_fault_ends_the_run_whatever_the_status(status: int, body: Any, error: str) -> None:
    completion = failure(status, body)
    assert (completion.error, completion.fatal, completion.transient) == (error, True, False)


@pytest.mark.parametrize("text", [GEMINI, LOW, "Invalid API key", "Insufficient balance", "Missing API key", LIMITS])
@pytest.mark.parametrize(
    "echo",
    [
        "'{}' is not of type 'array'",
        '"{}" does not match',
        "Invalid 'messages[0].content': {}",
        "Invalid input: {}",
        "[{{'type': 'string_type', 'loc': ('body',), 'input': '{}'}}]",
        "the text {} cannot be parsed",
        '{{"messages": [{{"role": "user", "content": "{}"}}]}} is no request',
    ],
)
def test_a_question_about_keys_or_credit_that_the_server_repeats_ends_nothing(echo: str, text: str) -> None:
    for body in (
        error_body(echo.format(text)),
        {"error": echo.format(text)},
        {"detail": [{"msg": text, "input": text}]},
    ):
        assert not failure(400, body).fatal


def test_a_rate_that_is_limited_by_a_plan_is_waited_for() -> None:
    words = "You exceeded your current quota, please check your plan and billing details. Please retry in 23s."
    assert failure(429, [{"error": {"code": 429, "message": words, "status": "RESOURCE_EXHAUSTED"}}]).transient


def test_any_error_of_any_form_is_read_quickly_and_without_raising() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = {"error": [deep]}
    for body in (
        deep,
        error_body("error" * 50_000),
        error_body("api key " * 50_000),
        error_body("{" * 50_000),
        error_body("[" * 50_000),
    ):
        assert failure(400, body).error in ("rejected_by_server", "context_too_long")


@pytest.mark.parametrize("body", [b'{"error": {"message": "\\ud83d"}}', b"[1]", b'"x"', b"\xff", b'{"error": 5}'])
def test_an_odd_error_body_can_be_kept(body: bytes) -> None:
    canonical(failure(400, body).detail)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2.5", 2.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("nan", None),
        ("inf", LONGEST_ASKED_WAIT_S),
        ("86400", LONGEST_ASKED_WAIT_S),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
        ("Wed, 21 Oct 9000 07:28:00 GMT", LONGEST_ASKED_WAIT_S),
    ],
)
def test_retry_after_is_read_and_bounded(header: str, seconds: float | None) -> None:
    assert failure(429, error_body("slow"), **{"retry-after": header}).wait_s == seconds
