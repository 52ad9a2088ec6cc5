"""Redirects: the same server may send a request elsewhere on itself; prompts and the key go to no other."""

from email.message import Message
from pathlib import Path

import httpx2
import pytest

from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.endpoints.redirects import RedirectRefusedError, next_request
from tests.blocks.helpers import Reply, ScriptedServer, answer_body, dispatching, model, question, questions

MODELS = (200, {}, b'{"data": [{"id": "small"}]}')


def test_prompts_and_key_go_to_no_other_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_KEY", "sk-SECRETsecretSECRETsecret0123456789")
    seen: list[str] = []

    def elsewhere(number: int, headers: Message) -> Reply:
        seen.append(str(headers["authorization"]))
        return 200, {}, answer_body("got it")

    with ScriptedServer(elsewhere) as thief:
        away = {"location": f"{thief.base_url}/chat/completions"}
        with (
            ScriptedServer(lambda number, headers: (307, away, b""), MODELS) as server,
            dispatching(tmp_path, {"small": model(server.base_url, api_key_env="SMALL_KEY")}) as dispatcher,
            pytest.raises(ModelUnusableError, match=r"redirects to another address, http://127\.0\.0\.1:\d+.*base_url"),
        ):
            dispatcher.ask(questions(3))
        assert thief.posts == 0
    assert not seen


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_within_a_server_keeps_the_method_and_the_body(tmp_path: Path, status: int) -> None:
    def answer(number: int, headers: Message) -> Reply:
        there = {"location": "/v1/chat/completions?again=1"}
        return (status, there, b"") if number % 2 == 0 else (200, {}, answer_body("yes"))

    with (
        ScriptedServer(answer, MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher,
    ):
        assert [one.text for one in dispatcher.ask([question("a")])] == ["yes"]
        assert server.posts == 2


@pytest.mark.parametrize(
    ("here", "there", "follows"),
    [
        ("http://a.example/v1/x", "https://a.example/v1/x", True),
        ("http://a.example/v1/x", "/v1/x/", True),
        ("https://a.example/v1/x", "http://a.example/v1/x", False),
        ("http://a.example:8000/x", "http://a.example:9000/x", False),
        ("https://a.example/x", "https://b.example/x", False),
        ("https://a.example/x", "https://a.example.evil.org/x", False),
        ("https://a.example/x", "//b.example/x", False),
    ],
)
def test_only_the_same_server_is_followed(here: str, there: str, follows: bool) -> None:
    request = httpx2.Request("POST", here, json={"prompt": "secret"})
    response = httpx2.Response(307, headers={"location": there})
    if not follows:
        with pytest.raises(RedirectRefusedError):
            next_request(request, response)
        return
    further = next_request(request, response)
    assert further is not None
    assert further.method == "POST"


def test_a_key_that_an_answer_repeats_is_not_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-SECRETsecretSECRETsecret0123456789"
    monkeypatch.setenv("SMALL_KEY", secret)
    escaped = answer_body(f"Your key is {secret}.").replace(b"SECRET", b"SECR\\u0045T", 1)
    for body in (answer_body(f"Your key is {secret}."), escaped):
        with (
            ScriptedServer(lambda number, headers, body=body: (200, {}, body), MODELS) as server,  # type: ignore[misc]
            dispatching(
                tmp_path / str(len(body)), {"small": model(server.base_url, api_key_env="SMALL_KEY", max_concurrency=1)}
            ) as one,
        ):
            found = one.ask(questions(2))
        assert [one.text for one in found] == ["Your key is ***."] * 2


def test_a_placeholder_for_a_key_is_a_word_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_KEY", "anything")
    with (
        ScriptedServer(lambda number, headers: (200, {}, answer_body("anything goes")), MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url, api_key_env="SMALL_KEY")}) as dispatcher,
    ):
        assert dispatcher.ask(questions(1))[0].text == "anything goes"
