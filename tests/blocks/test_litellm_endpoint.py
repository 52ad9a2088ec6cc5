"""Models behind LiteLLM: answers, failures and keys are those of any other endpoint; nothing is loaded unless asked."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import openai
import pytest
from pydantic import ValidationError

from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.endpoints import litellm as litellm_endpoint
from kasasagi.blocks.endpoints.litellm import failure
from kasasagi.blocks.hints import install
from kasasagi.blocks.models.kinds import LiteLLMModel
from tests.blocks.helpers import ScriptedServer, answer_body, dispatching, question, questions
from tests.fake_server import FakeServer

needs_litellm = pytest.mark.slow  # the extra [litellm] is part of what make test-slow installs


def litellm_model(**fields: Any) -> LiteLLMModel:
    return LiteLLMModel.model_validate({"kind": "litellm", "model": "openai/small", **fields})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a LiteLLM that answers everything with yes was asked."""
    calls: list[dict[str, Any]] = []

    class Reply:
        def model_dump(self) -> dict[str, Any]:
            choice = {"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
            return {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}

    async def acompletion(**call: Any) -> Reply:
        calls.append(call)
        return Reply()

    monkeypatch.setattr(litellm_endpoint, "library", lambda: SimpleNamespace(acompletion=acompletion))
    return calls


def test_an_answer_is_one_as_from_any_endpoint(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "a-key-of-ours")
    with dispatching(tmp_path, {"small": litellm_model(api_key_env="SOME_KEY", timeout_s=5)}) as dispatcher:
        (answer,) = dispatcher.ask([question("is it?", temperature=0.5)])
    assert (answer.text, answer.finish_reason, answer.prompt_tokens, answer.completion_tokens) == ("yes", "stop", 3, 1)
    assert asked == [
        {
            "model": "openai/small",
            "messages": [{"role": "user", "content": "is it?"}],
            "temperature": 0.5,
            "timeout": 5.0,
            "num_retries": 0,
            "max_retries": 0,
            "api_key": "a-key-of-ours",
        }
    ]


def test_without_the_extra_the_run_ends_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    litellm_endpoint.library.cache_clear()
    words = re.escape(f"kasasagi's extra [litellm]; install it with {install('litellm')}")
    with (
        dispatching(tmp_path, {"small": litellm_model()}) as dispatcher,
        pytest.raises(ModelUnusableError, match=words),
    ):
        dispatcher.ask(questions(3))


def test_what_is_no_conversation_cannot_be_asked(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    with dispatching(tmp_path, {"small": litellm_model()}) as dispatcher:
        one = question("x")
        raw = type(one)(one.label, one.key, {"prompt": "<user>"})
        with pytest.raises(ModelUnusableError, match="only accepts chat messages"):
            dispatcher.ask([raw])
    assert not asked


SPENT = {
    "x-ratelimit-remaining-requests": "0",
    "llm_provider-anthropic-ratelimit-tokens-remaining": "0",
    "llm_provider-X-RateLimit-Reset-Requests": "2s",
}


@pytest.mark.parametrize(
    ("hidden", "wait_s"),
    [
        ({"additional_headers": SPENT}, 2.0),
        ({"additional_headers": {**SPENT, "x-ratelimit-remaining-requests": 5}}, None),
        ({"additional_headers": {"x-ratelimit-remaining-requests": None, "x-ratelimit-reset-requests": None}}, None),
        ({"additional_headers": "none"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_quota_that_litellm_tells_of_is_waited_for_as_at_any_endpoint(
    monkeypatch: pytest.MonkeyPatch, hidden: Any, wait_s: float | None
) -> None:
    class Reply:
        _hidden_params = hidden

        def model_dump(self) -> dict[str, Any]:
            return {"choices": [{"message": {"content": "yes"}}]}

    async def acompletion(**call: Any) -> Reply:
        return Reply()

    monkeypatch.setattr(litellm_endpoint, "library", lambda: SimpleNamespace(acompletion=acompletion))
    endpoint = litellm_endpoint.LiteLLMEndpoint(litellm_model())
    answer = asyncio.run(endpoint.complete({"messages": [{"role": "user", "content": "is it?"}]}))
    assert (answer.text, answer.wait_s) == ("yes", wait_s)


class OneOfLiteLLMs(openai.RateLimitError):
    """An exception as LiteLLM raises it: a class of the OpenAI client, with a reply of its own making."""

    def __init__(self, headers: dict[str, str]) -> None:
        request = httpx2.Request("POST", "http://127.0.0.1:1")
        super().__init__("litellm.RateLimitError: slow down", response=httpx2.Response(429, request=request), body=None)
        self.litellm_response_headers = httpx.Headers(headers)


def test_failures_that_may_pass_and_those_that_will_not() -> None:
    limited = failure(OneOfLiteLLMs({"Retry-After": "7"}))
    assert (limited.error, limited.transient, limited.wait_s) == ("rate_limited", True, 7.0)
    spent = failure(OneOfLiteLLMs({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "3s"}))
    assert spent.wait_s == 3.0
    assert failure(openai.APIConnectionError(request=httpx2.Request("POST", "http://a"))).transient
    no_key = failure(RuntimeError("OpenAIException - Missing credentials. Please pass an `api_key`"))
    assert (no_key.error, no_key.fatal) == ("not_authorised", True)
    assert failure(RuntimeError("something of its own")).error == "server_error"
    unknown = failure(ValueError("LLM Provider NOT provided. Pass in the LLM provider"))
    assert (unknown.error, unknown.fatal) == ("not_found", True)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            'litellm.BadRequestError: AnthropicException - {"type":"error","error":{"type":"invalid_request_error",'
            '"message":"Your credit balance is too low to access the Anthropic API."},"request_id":"r"}. More of it.',
            "out_of_credit",
        ),
        (
            'litellm.BadRequestError: DeepseekException - {"error":{"message":"Insufficient Balance",'
            '"type":"unknown_error","param":null,"code":"invalid_request_error"}}',
            "out_of_credit",
        ),
        ("litellm.BadRequestError: OpenAIException - Billing hard limit has been reached", "out_of_credit"),
        ("litellm.BadRequestError: XaiException - Incorrect API key provided: sk***YA.", "not_authorised"),
        ("litellm.BadRequestError: OpenAIException - Invalid input: Insufficient Balance", "rejected_by_server"),
        ("litellm.BadRequestError: OpenAIException - Invalid input: why is my API key missing?", "rejected_by_server"),
    ],
)
def test_a_key_or_an_account_at_fault_is_found_behind_litellms_own_words(words: str, error: str) -> None:
    reply = httpx2.Response(400, request=httpx2.Request("POST", "http://127.0.0.1:1"))
    found = failure(openai.BadRequestError(words, response=reply, body=None))
    assert (found.error, found.fatal) == (error, error != "rejected_by_server")


def test_no_key_of_the_environment_stands_in_a_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", "abcdefgh1234")
    endpoint = litellm_endpoint.LiteLLMEndpoint(litellm_model())
    assert endpoint.without_key("the key abcdefgh1234 is wrong") == "the key *** is wrong"


@pytest.mark.parametrize("fields", [{"batch": True}, {"provider": "groq"}, {"base_url": ["http://a", "http://b"]}])
def test_what_only_openai_endpoints_have_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="kind"):
        litellm_model(**fields)


def test_models_of_one_provider_share_its_limit() -> None:
    assert litellm_model(model="bedrock/a").addresses == litellm_model(model="bedrock/b").addresses
    assert litellm_model(model="bedrock/a").addresses != litellm_model(model="watsonx/a").addresses
    assert litellm_model(model="bedrock/a").first_concurrency("litellm:bedrock") == 32


@needs_litellm
def test_litellm_itself_asks_a_server(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "a-key-of-ours")
    server.configure(faults={"http_429": 0.2, "http_500": 0.2})
    model = litellm_model(base_url=server.base_url, api_key_env="SOME_KEY", max_retries=20)
    with dispatching(tmp_path, {"small": model}) as dispatcher:
        answers = dispatcher.ask(questions(20))
    assert all(answer.error is None and answer.text and answer.completion_tokens for answer in answers)
    assert len(server.samples()) == 20


@needs_litellm
def test_litellm_itself_hands_on_what_is_left_of_a_quota(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "a-key-of-ours")
    server.configure(headers={"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "4s"})
    endpoint = litellm_endpoint.LiteLLMEndpoint(litellm_model(base_url=server.base_url, api_key_env="SOME_KEY"))
    answer = asyncio.run(endpoint.complete({"messages": [{"role": "user", "content": "is it?"}]}))
    assert (answer.error, answer.wait_s) == (None, 4.0)


@needs_litellm
@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("openai/nobody", "a-key-of-ours", "404"),
        ("no-such-provider/x", "a-key-of-ours", "LLM Provider NOT provided"),
        ("openai/small", "", "Missing credentials"),
    ],
)
def test_litellm_itself_cannot_ask(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, key: str, words: str
) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SOME_KEY", key)
    model = litellm_model(model=name, base_url=server.base_url, **({"api_key_env": "SOME_KEY"} if key else {}))
    with dispatching(tmp_path, {"small": model}) as dispatcher, pytest.raises(ModelUnusableError, match=words):
        dispatcher.ask(questions(3))


@needs_litellm
@pytest.mark.parametrize("name", ["openai/small", "anthropic/small", "mistral/small"])
def test_litellm_itself_takes_prompts_and_key_to_no_other_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SOME_KEY", "a-key-of-ours")
    with ScriptedServer(lambda number, headers: (200, {}, answer_body("got it"))) as thief:
        away = {"location": f"{thief.base_url}/chat/completions"}
        with ScriptedServer(lambda number, headers: (307, away, b"")) as server:
            model = litellm_model(model=name, base_url=server.base_url, api_key_env="SOME_KEY")
            words = r"redirects to another address, http://127\.0\.0\.1:\d+"
            with dispatching(tmp_path, {"small": model}) as dispatcher, pytest.raises(ModelUnusableError, match=words):
                dispatcher.ask(questions(3))
        assert thief.posts == 0


def test_configuration_loads_no_litellm() -> None:
    code = "import sys; from kasasagi.flows.recipe.loading import Recipe; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ}).returncode == 0


@needs_litellm
def test_a_parameter_that_litellm_refuses_itself_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    litellm = litellm_endpoint.library()
    asked = list[dict[str, Any]]()

    async def acompletion(**call: Any) -> Any:
        asked.append(call)
        if "temperature" in call:
            words = "gpt-5 models don't support temperature=0.7. Only temperature=1 is supported."
            raise litellm.UnsupportedParamsError(message=words, model="gpt-5", llm_provider="openai")
        return litellm.ModelResponse(choices=[{"message": {"role": "assistant", "content": "yes"}}])

    monkeypatch.setattr(litellm, "acompletion", acompletion)
    endpoint = litellm_endpoint.LiteLLMEndpoint(litellm_model())
    request = {"messages": [{"role": "user", "content": "is it?"}], "temperature": 0.7}
    answers = [asyncio.run(endpoint.complete(request)) for _ in range(2)]
    assert [one.text for one in answers] == ["yes", "yes"]
    assert len(asked) == 3
    assert len(endpoint.adaptation.notes()) == 1


@needs_litellm
def test_an_exception_of_litellms_own_is_a_failure() -> None:
    litellm = litellm_endpoint.library()
    found = failure(litellm.UnsupportedParamsError(message="no tools here", model="m", llm_provider="p"))
    assert (found.error, found.transient) == ("rejected_by_server", False)
