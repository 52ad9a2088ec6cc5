"""Servers that answer unlike OpenAI's: errors with status 200, events, waits in the body, other parameters."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.endpoints.adapted_requests import Adaptation
from kasasagi.blocks.endpoints.event_replies import joined_events
from kasasagi.blocks.endpoints.failures import read_error_body
from kasasagi.blocks.endpoints.openai import read_reply
from kasasagi.blocks.models.kinds import OpenAIModel
from tests.blocks.helpers import ScriptedServer, answer_body, dispatching, model, question, questions

MODELS = (200, {}, b'{"data": [{"id": "small"}]}')


def error_of(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("body", "error", "kind"),
    [
        (error_of(code=402, message="Insufficient credits"), "out_of_credit", "fatal"),
        (error_of(code="403", message="Forbidden"), "not_authorised", "fatal"),
        (error_of(code=429, message="Rate limit exceeded"), "rate_limited", "transient"),
        (error_of(code=502, message="Provider returned error"), "server_error", "transient"),
        (error_of(code=400, message="maximum context length is 8192 tokens"), "context_too_long", "lasting"),
        (error_of(message="busy"), "server_error", "transient"),
        (b'{"error": "overloaded"}', "server_error", "transient"),
        (b'[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]', "rate_limited", "transient"),
    ],
)
def test_an_error_with_status_200_means_what_its_code_says(body: bytes, error: str, kind: str) -> None:
    found = read_error_body(body, {}, "/v1/chat/completions")
    assert found is not None
    assert found.error == error
    assert (found.fatal, found.transient) == (kind == "fatal", kind == "transient")


@pytest.mark.parametrize(
    "body", [b'{"choices": [], "error": null}', answer_body('{"error": {"code": 402}}'), b'no json "error"']
)
def test_an_answer_about_errors_is_no_error(body: bytes) -> None:
    assert read_error_body(body, {}, "/v1/chat/completions") is None


@pytest.mark.parametrize(
    ("details", "wait"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38s"}], 38.0),
        ([{"@type": "other"}, {"retryDelay": "1.5s"}], 1.5),
        ([], None),
    ],
)
def test_the_wait_that_gemini_asks_for_in_the_body_is_kept(details: list[Any], wait: float | None) -> None:
    body = json.dumps([{"error": {"code": 429, "message": "quota", "details": details}}]).encode()
    found = read_error_body(body, {}, "/x")
    assert found is not None
    assert found.wait_s == wait


CHAT = (
    b": OPENROUTER PROCESSING\n\n"
    b'data: {"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {"reasoning": "Hm. "}}]}\r\n\r\n'
    b'data: {"choices": [{"index": 0, "delta": {"content": "\xe3\x81\xaf"}}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {"content": "\xe3\x81\x84"}, "finish_reason": "stop"}]}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
    b"data: [DONE]\n\n"
)


def test_a_stream_of_events_is_put_together() -> None:
    found = read_reply(joined_events(CHAT))
    assert (found.text, found.reasoning, found.finish_reason) == ("はい", "Hm. ", "stop")
    assert (found.prompt_tokens, found.completion_tokens) == (3, 2)


def test_a_stream_of_completions_keeps_its_samples_apart() -> None:
    body = (
        b'data: {"choices": [{"index": 1, "text": "b"}]}\ndata: {"choices": [{"index": 0, "text": "a"}]}\ndata: [DONE]'
    )
    assert [choice["text"] for choice in json.loads(joined_events(body))["choices"]] == ["a", "b"]


def events(*choices: Any, last: bytes = b"data: [DONE]\n\n", **more: Any) -> bytes:
    return b"".join(f"data: {json.dumps({'choices': [one], **more})}\n\n".encode() for one in choices) + last


def delta(content: Any, finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}


def test_a_character_that_is_cut_into_two_events_is_whole() -> None:
    found = read_reply(joined_events(events(delta("good \ud83d"), delta("\ude00", "stop"))))
    assert (found.text, found.error) == ("good \U0001f600", None)


def test_half_a_character_in_a_stream_is_a_lasting_failure() -> None:
    found = read_reply(joined_events(events(delta("good \ud83d"), delta(" day", "stop"))))
    assert (found.error, found.transient) == ("lone_surrogate", False)


def test_parts_in_a_stream_are_read_as_parts() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    body = events(delta([thought]), delta([{"type": "text", "text": "Yes"}]), delta(", so.", "stop"))
    found = read_reply(joined_events(body))
    assert (found.text, found.reasoning) == ("Yes, so.", "Hm.")


def test_a_stream_with_tokens_and_no_choice_counts_them() -> None:
    found = read_reply(joined_events(b'data: {"choices": [], "usage": {"completion_tokens": 7}}\n\ndata: [DONE]\n\n'))
    assert (found.error, found.completion_tokens) == ("malformed_reply", 7)


def test_a_stream_that_breaks_off_is_asked_again(tmp_path: Path) -> None:
    cut, whole = events(delta("It is")), events(delta("It is so.", "stop"), last=b"")
    cut = cut.removesuffix(b"data: [DONE]\n\n")
    answers: Callable[..., Any] = lambda number, headers: (200, {}, cut if number < 1 else whole)  # noqa: E731
    with (
        ScriptedServer(answers, MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher,
    ):
        [found] = dispatcher.ask(questions(1))
    assert (found.text, found.attempts) == ("It is so.", 2)


def test_an_error_in_a_stream_is_that_error(tmp_path: Path) -> None:
    body = CHAT[:200].rpartition(b"data:")[0] + b'data: {"error": {"code": 502, "message": "upstream died"}}\n\n'
    answers: Callable[..., Any] = lambda number, headers: (200, {}, body if number < 1 else CHAT)  # noqa: E731
    with (
        ScriptedServer(answers, MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher,
    ):
        [found] = dispatcher.ask(questions(1))
    assert (found.text, found.attempts) == ("はい", 2)


REFUSALS = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0.8. Only the default (1) value is supported.",
}


def test_a_model_that_takes_no_max_tokens_and_no_temperature_is_understood(tmp_path: Path) -> None:
    lines = list[str]()

    def answer(number: int, headers: Any) -> tuple[int, dict[str, str], bytes]:
        body = json.loads(server.bodies[-1])
        name = next((name for name in REFUSALS if name in body), None)
        if name is None:
            return 200, {}, answer_body("yes")
        return 400, {}, error_of(message=REFUSALS[name], param=name, code="unsupported_parameter")

    with (
        ScriptedServer(answer, MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher,
    ):
        dispatcher.log = lines.append
        asked = [question(str(number), max_tokens=64, temperature=0.8) for number in range(5)]
        answers = dispatcher.ask(asked)
    assert [one.text for one in answers] == ["yes"] * 5
    assert server.posts == 7, "two refusals, then five calls"
    last = json.loads(server.bodies[-1])
    assert last["max_completion_tokens"] == 64
    assert not {"max_tokens", "temperature"} & set(last)
    assert len(lines) == 2
    assert "max_completion_tokens is sent instead" in lines[0]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("`temperature` may only be set to 1 when thinking is enabled.", "temperature"),
        ("Invalid 'temperature': only the default value is accepted", "temperature"),
        ("temperature must be 1 for this model", "temperature"),
        ("temperature is fixed to 1 here", "temperature"),
        ("max_tokens is not a valid parameter; use max_completion_tokens", "max_tokens"),
        ("Model m does not support parameter presencePenalty", "presence_penalty"),
        ("temperature 3.0 is not valid: it must be between 0 and 2", None),
        ("max_tokens must be at most 4096", None),
        ("temperature can only be between 0 and 2", None),
        ("top_p must be <1 for this model", None),
        ("temperature: 3.0 is not allowed, it must be less than 2", None),
        ("Model m does not support parameter topP", "top_p"),
    ],
)
def test_a_refusal_of_a_parameter_is_understood_in_other_words(words: str, named: str | None) -> None:
    body = {"max_tokens": 64, "temperature": 3.0, "top_p": 0.9, "presence_penalty": 1.0}
    adaptation = Adaptation()
    assert adaptation.learn(400, words, body) == (named is not None)
    assert set(body) - set(adaptation.apply(body)) == ({named} if named else set())


def test_a_refusal_about_another_parameter_is_no_reason_to_adapt(tmp_path: Path) -> None:
    body = error_of(message="max_tokens is too large: 99999. This model supports at most 4096 completion tokens.")
    with (
        ScriptedServer(lambda number, headers: (400, {}, body), MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher,
    ):
        [found] = dispatcher.ask([question("a", max_tokens=99_999)])
    assert (found.error, server.posts) == ("rejected_by_server", 1)


def test_a_stream_that_is_switched_off_may_be_said() -> None:
    fields = {"kind": "openai", "model": "m", "extra_body": {"stream": False}}
    assert OpenAIModel.model_validate(fields).extra_body == {"stream": False}
    with pytest.raises(ValueError, match="stream"):
        OpenAIModel.model_validate({**fields, "extra_body": {"stream": True}})
