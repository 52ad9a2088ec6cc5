"""The quick road of completions: what follows the first request differs from it in nothing but its body."""

import asyncio
import json
from email.message import Message
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.endpoints.completion_transport import CompletionTransport
from tests.blocks.helpers import Reply, ScriptedServer, answer_body, dispatching, model, question, questions

MODELS = (200, {}, b'{"data": [{"id": "small"}]}')
REDIRECTED = (0, 2, 3, 6, 7)
"""The first call; the second one on either road; the last likewise."""
OF_ONE_REQUEST = ("accept-encoding", "connection", "content-length")


def test_later_requests_carry_what_the_first_one_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_KEY", "sk-SECRETsecretSECRETsecret0123456789")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-mine")
    seen = list[dict[str, str]]()

    def answer(number: int, headers: Message) -> Reply:
        seen.append({name.lower(): value for name, value in headers.items() if name.lower() not in OF_ONE_REQUEST})
        return 200, {}, answer_body(f"answer {number}")

    with (
        ScriptedServer(answer, MODELS) as server,
        dispatching(
            tmp_path, {"small": model(server.base_url, api_key_env="SMALL_KEY", max_concurrency=1)}
        ) as dispatcher,
    ):
        answers = dispatcher.ask(questions(3))
    assert sorted(one.text for one in answers) == ["answer 0", "answer 1", "answer 2"]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]["authorization"].startswith("Bearer sk-")
    assert seen[0]["openai-organization"] == "org-of-mine"
    asked = {json.loads(body)["messages"][0]["content"] for body in server.bodies}
    assert asked == {f"question {number}" for number in range(3)}


def test_the_openai_client_builds_the_first_request_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built, original = list[str](), openai.AsyncOpenAI.post

    async def post(client: Any, path: str, **options: Any) -> Any:
        built.append(path)
        return await original(client, path, **options)

    monkeypatch.setattr(openai.AsyncOpenAI, "post", post)
    with (
        ScriptedServer(lambda number, headers: (200, {}, answer_body("yes")), MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher,
    ):
        dispatcher.ask(questions(5))
        assert server.posts == 5
    assert built == ["/chat/completions"]


@pytest.mark.parametrize(("proxy", "usable"), [("", True), ("http://proxy:3128", True), ("socks5://proxy:1080", False)])
def test_a_proxy_that_aiohttp_does_not_know_keeps_to_the_openai_client(
    monkeypatch: pytest.MonkeyPatch, proxy: str, usable: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)

    async def opened() -> bool:
        transport = CompletionTransport(httpx2.URL("https://api.example/v1"), httpx2.Timeout(5.0), 5.0)
        try:
            return transport.is_usable
        finally:
            await transport.close()

    assert asyncio.run(opened()) == usable


def test_a_redirect_is_followed_at_any_time(tmp_path: Path) -> None:
    def answer(number: int, headers: Message) -> Reply:
        return (307, {"location": "/v1/elsewhere"}, b"") if number in REDIRECTED else (200, {}, answer_body("yes"))

    with (
        ScriptedServer(answer, MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher,
    ):
        assert [one.text for one in dispatcher.ask(questions(4))] == ["yes"] * 4


def test_a_redirect_elsewhere_is_refused_at_any_time(tmp_path: Path) -> None:
    with ScriptedServer(lambda number, headers: (200, {}, answer_body("got it"))) as thief:
        away = {"location": f"{thief.base_url}/chat/completions"}
        with (
            ScriptedServer(
                lambda number, headers: (200, {}, answer_body("yes")) if number == 0 else (307, away, b""), MODELS
            ) as server,
            dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher,
            pytest.raises(ModelUnusableError, match=r"redirects to another address"),
        ):
            dispatcher.ask(questions(3))
        assert thief.posts == 0


def test_a_parameter_that_is_refused_as_unprocessable_is_left_out(tmp_path: Path) -> None:
    def answer(number: int, headers: Message) -> Reply:
        if "temperature" in json.loads(server.bodies[-1]):
            where = {"type": "extra_forbidden", "loc": ["body", "temperature"], "msg": "Extra inputs are not permitted"}
            return 422, {}, json.dumps({"detail": [where]}).encode()
        return 200, {}, answer_body("yes")

    with (
        ScriptedServer(answer, MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher,
    ):
        asked = [question(str(number), temperature=0.8) for number in range(3)]
        assert [one.text for one in dispatcher.ask(asked)] == ["yes"] * 3
    assert server.posts == 4
