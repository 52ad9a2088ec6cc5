"""Providers by short names: each known, none taken for another, and no key sent to the wrong place."""

from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.models.kinds import OPENAI_URL, OpenAIModel, Price, price_of
from kasasagi.blocks.models.providers import PROVIDERS, price_as_of, provider_at, providers


def model(name: str = "m", **fields: Any) -> OpenAIModel:
    return OpenAIModel.model_validate({"kind": "openai", "model": name, **fields})


def test_the_names_of_the_schema_are_those_of_the_facts() -> None:
    assert set(providers()) == set(PROVIDERS.ours)
    assert all(provider.as_of.startswith("20") for provider in providers().values())


@pytest.mark.parametrize("name", [name for name, facts in providers().items() if facts.base_url])
def test_a_preset_gives_address_and_key(name: str) -> None:
    preset = providers()[name]
    assert model(provider=name).addresses == (preset.base_url,)
    assert model(provider=name).key_variable() == preset.api_key_env
    own = model(provider=name, base_url="http://127.0.0.1:1/v1", api_key_env="MINE")
    assert (own.addresses, own.key_variable()) == (("http://127.0.0.1:1/v1",), "MINE")
    assert provider_at(str(preset.base_url)) == name


@pytest.mark.parametrize("name", ["azure", "vertex"])
def test_a_provider_without_one_address_for_all_asks_for_it(name: str) -> None:
    with pytest.raises(ValidationError, match="write base_url, such as https://"):
        model(provider=name)
    assert model(provider=name, base_url="https://mine.example.com/v1").addresses == ("https://mine.example.com/v1",)


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(ValidationError):
        model(provider="opnai")


def test_a_provider_changes_no_identity() -> None:
    assert model(provider="groq").ledger_identity() == model().ledger_identity() == "m"


def test_a_price_is_the_recipes_else_the_tables_else_nothing() -> None:
    own = Price(input=1.0, output=2.0)
    assert price_of(model("gpt-4o-mini", usd_per_million_tokens=own.model_dump())) == own
    assert price_of(model("gpt-4o-mini")) == Price(input=0.15, output=0.6)
    assert price_of(model("gpt-4o-mini-2024-07-18")) == Price(input=0.15, output=0.6)
    assert price_of(model("gpt-4o-mini", usd_per_million_tokens={})) == Price()
    assert price_of(model("gpt-4o-mini", base_url="http://127.0.0.1/v1")) == Price()
    assert price_of(model("gpt-4o-mini", provider="groq")) == Price()
    assert price_of(model("claude-haiku-4-5", provider="anthropic")).output == 5.0
    assert price_of(model("unheard-of", base_url=OPENAI_URL)) == Price()


def test_each_price_of_the_table_has_the_date_at_which_it_was_true() -> None:
    assert str(price_as_of("openai", "gpt-4o-mini")).startswith("20")
    assert price_as_of("openai", "gpt-4o-mini-2024-07-18") == price_as_of("openai", "gpt-4o-mini")
    assert price_as_of("groq", "gpt-4o-mini") is None
    assert price_as_of(None, "gpt-4o-mini") is None
