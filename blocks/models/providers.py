"""Providers by short names: where they are asked, which variable holds the key, what they cannot do, what they cost.

The facts lie in providers.json and prices.json, each with the date at which it was true; a recipe's own base_url,
api_key_env and usd_per_million_tokens go before them.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from kasasagi.blocks.configuration import Config, Price
from kasasagi.blocks.own.registry import Registry

Ability = Literal["completions", "json_schema", "embeddings", "models"]
_FOLDER = Path(__file__).parent
_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$")


class Provider(Config):
    """What is known of a provider."""

    base_url: str | None = Field(description="Its address; None where everybody has an address of their own.")
    like: str | None = Field(None, description="What such an address looks like.")
    api_key_env: str | None = Field(description="The environment variable that usually holds the key.")
    cannot: tuple[Ability, ...] = Field(description="What it cannot do.")
    as_of: str = Field(description="When this was true.")


@cache
def providers() -> dict[str, Provider]:
    """Return all providers by their short names."""
    data = json.loads((_FOLDER / "providers.json").read_text(encoding="utf-8"))
    return {name: Provider.model_validate(facts) for name, facts in data.items()}


def _keys(name: str, function: Callable[[str], Mapping[str, Any]]) -> Callable[[str], Mapping[str, Any]]:
    return function


PROVIDERS: Registry[Any] = Registry("provider", providers(), _keys)
"""Ours are facts; a user's own is a function that gives the keys of a model entry for the model's name."""
ProviderName = Annotated[str, PROVIDERS]


@cache
def provider_at(address: str) -> str | None:
    """Return the short name of the provider that has an address."""
    return next((name for name, provider in providers().items() if provider.base_url == address), None)


def listed_price(provider: str | None, model: str) -> Price | None:
    """Return the price of a model from our table, or None if it is not listed; a date in the name is ignored."""
    found = _listed_price(provider, model)
    return found[1] if found else None


def price_as_of(provider: str | None, model: str) -> str | None:
    """Return the date at which a model's price in our table was true; None where it does not stand there."""
    found = _listed_price(provider, model)
    return found[0] if found else None


@cache
def _listed_price(provider: str | None, model: str) -> tuple[str, Price] | None:
    """Return a model's price in our table and its date; of several the latest."""
    tables = sorted(_prices().get(provider or "", {}).items(), reverse=True)
    for name in (model, _DATED.sub("", model)):
        for date, table in tables:
            if name in table:
                return date, Price(input=table[name][0], output=table[name][1])
    return None


@cache
def _prices() -> dict[str, dict[str, dict[str, list[float]]]]:
    data: dict[str, dict[str, dict[str, list[float]]]] = json.loads((_FOLDER / "prices.json").read_text("utf-8"))
    return data
