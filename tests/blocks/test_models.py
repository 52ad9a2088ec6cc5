"""Models of a recipe: identities, keys, addresses, and how sampling is laid over sampling."""

from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.models.kinds import (
    HOSTED_CONCURRENCY,
    LOCAL_CONCURRENCY,
    MOST_HOSTED_CONCURRENCY,
    MOST_LOCAL_CONCURRENCY,
    OPENAI_URL,
    OpenAIModel,
    Price,
    Sampling,
    missing_key,
)


def model(**fields: Any) -> OpenAIModel:
    return OpenAIModel.model_validate({"kind": "openai", "model": "small", **fields})


def test_the_ledger_knows_a_model_by_name_and_revision_never_by_address() -> None:
    assert (
        model(base_url="http://a:1/v1").ledger_identity()
        == model(base_url="http://b:2/v1").ledger_identity()
        == "small"
    )
    assert model(revision="r1").ledger_identity() == "small@r1"
    assert model(revision="r1", identity="mine").ledger_identity() == "mine"


def test_sampling_laid_over_sampling_keeps_what_it_does_not_set() -> None:
    base = Sampling(temperature=0.5, max_tokens=9, stop=("a",))
    assert Sampling(temperature=0.0).over(base).parameters() == {"temperature": 0.0, "max_tokens": 9, "stop": ("a",)}
    assert Sampling().parameters() == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"max_tokens": 0},
        {"stop": "text"},
        {"tempreture": 1},
    ],
)
def test_sampling_that_no_server_takes_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sampling.model_validate(fields)


def test_a_price_is_dollars_for_a_million_tokens() -> None:
    assert Price(input=2.0, output=10.0).cost(500_000, 100_000) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("address", "limit", "most"),
    [
        ("http://127.0.0.1:8000/v1", LOCAL_CONCURRENCY, MOST_LOCAL_CONCURRENCY),
        ("http://localhost/v1", LOCAL_CONCURRENCY, MOST_LOCAL_CONCURRENCY),
        ("http://192.168.1.5/v1", LOCAL_CONCURRENCY, MOST_LOCAL_CONCURRENCY),
        ("http://[::1]:80/v1", LOCAL_CONCURRENCY, MOST_LOCAL_CONCURRENCY),
        ("https://api.example.com/v1", HOSTED_CONCURRENCY, MOST_HOSTED_CONCURRENCY),
        ("https://localhost.example.com/v1", HOSTED_CONCURRENCY, MOST_HOSTED_CONCURRENCY),
        ("https://10.example.com/v1", HOSTED_CONCURRENCY, MOST_HOSTED_CONCURRENCY),
    ],
)
def test_a_local_server_gets_more_calls_at_once_than_a_hosted_one(address: str, limit: int, most: int) -> None:
    free, bound = model(base_url=address), model(base_url=address, max_concurrency=3)
    assert (free.first_concurrency(address), free.most_concurrency(address)) == (limit, most)
    assert (bound.first_concurrency(address), bound.most_concurrency(address)) == (3, 3)


def test_the_limit_begins_where_it_is_told_to_and_never_above_the_most() -> None:
    hosted, local = "https://api.example.com/v1", "http://127.0.0.1/v1"
    assert model(base_url=hosted, max_concurrency=500).first_concurrency(hosted) == HOSTED_CONCURRENCY
    assert model(base_url=local, max_concurrency=500).first_concurrency(local) == 500
    assert model(base_url=local, max_concurrency=500, start_concurrency=8).first_concurrency(local) == 8
    assert model(base_url=local, max_concurrency=4, start_concurrency=8).first_concurrency(local) == 4


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8000",
        "ftp://host/v1",
        "http://",
        "http://user:secretword@host/v1",
        "http://host/v1?api_key=secretword",
        "http://host/v1#secretword",
        "http://[bad",
        "http://host:99999/v1",
    ],
)
def test_what_is_no_address_or_holds_a_secret_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        model(base_url=address)


def test_an_address_loses_its_last_slash() -> None:
    assert model(base_url="http://host/v1/").base_url == "http://host/v1"


def test_several_addresses_are_kept_in_their_order_and_change_no_identity() -> None:
    several = model(base_url=["http://b/v1/", "http://a/v1"])
    assert several.addresses == ("http://b/v1", "http://a/v1")
    assert several.ledger_identity() == model(base_url="http://c/v1").ledger_identity()
    assert model(base_url="http://a/v1").addresses == ("http://a/v1",)
    assert model().addresses == (OPENAI_URL,)


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        ([], "list of addresses"),
        (7, "list of addresses"),
        (None, "list of addresses"),
        ([{"a": 1}], "list of addresses"),
        (["http://a/v1", "b"], "'b' is not an address"),
        (["http://a/v1", "http://a/v1/"], "http://a/v1 appears twice"),
        (["http://a/v1", "http://user:secretword@b/v1"], "must not contain a name"),
    ],
)
def test_lists_that_are_no_addresses_are_refused_in_one_sentence(addresses: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as raised:
        model(base_url=addresses)
    assert raised.value.error_count() == 1


def test_openais_own_key_is_sent_to_nobody_else_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert missing_key(model(base_url=[OPENAI_URL, "http://127.0.0.1/v1"])) is None
    assert missing_key(model(base_url=[OPENAI_URL])) == "OPENAI_API_KEY"


@pytest.mark.parametrize("name", ["sk-abcdefghijklmnop", "A" * 40, "with space", "", "hf_abcdefghijklmnop"])
def test_a_key_is_no_name_of_a_variable(name: str) -> None:
    with pytest.raises(ValidationError, match="looks like a key"):
        model(api_key_env=name)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "KEY", "my_key_2"])
def test_a_name_of_a_variable_is_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name, raising=False)
    assert missing_key(model(api_key_env=name)) == name
    monkeypatch.setenv(name, "k")
    assert missing_key(model(api_key_env=name)) is None


def test_openais_own_address_needs_openais_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert missing_key(model(base_url=OPENAI_URL)) == "OPENAI_API_KEY"
    assert missing_key(model(base_url="http://127.0.0.1/v1")) is None


@pytest.mark.parametrize("name", ["messages", "prompt", "model", "n", "stream"])
def test_fields_that_a_stage_sets_are_not_taken_from_extra_body(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name!r} is set by"):
        model(extra_body={name: 1})


@pytest.mark.parametrize("value", [float("nan"), 2**70, {1: 2}, object(), "\ud800", b"x"])
def test_what_is_no_json_is_not_taken_from_extra_body(value: object) -> None:
    with pytest.raises(ValidationError, match="JSON"):
        model(extra_body={"field": value})


def test_extra_body_takes_nested_json() -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "stop_token_ids": [1, 2]}
    assert model(extra_body=extra).extra_body == extra
