"""`kasasagi check`: what can be known of a job before anything is paid for."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import httpx2
import openai
import orjson

from blocks.engines import engines_for
from blocks.litellm_endpoint import MISSING
from blocks.llm import Completion
from blocks.models import LiteLLMModel, ModelConfig, OpenAIModel, VLLMModel, missing_key, price_of
from blocks.openai_endpoint import read_failure
from blocks.providers import price_as_of, providers
from blocks.reward_endpoint import endpoint_of
from flows.check_engines import check_magpie, check_vllm
from flows.recipe import LoadedRecipe, Recipe
from flows.recipe_errors import nearest
from tasks.converse import stage as converse
from tasks.converse.plan import dialogues
from tasks.judge.config import JudgeConfig
from tasks.judge.methods import method_of
from tasks.pre_query import pre_query
from tasks.respond import conversation
from tasks.rewrite import stage as rewrite
from tasks.student import token_counter
from tasks.synthesize import MagpieSource, Steering
from tasks.tags import stage as tags

EXAMPLE = {"en": "What is the capital of Japan?", "ja": "日本の首都はどこですか。"}
PING_VECTOR = {"input": "Hello."}
PING = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}


def warnings(recipe: Recipe) -> list[str]:
    """What is allowed, but seldom meant."""
    responders = {responder.use for responder in recipe.respond.models}
    found = []
    judging = recipe.judging
    for name in judging.judges if judging else ():
        if name in responders:
            found.append(f"{name!r} judges its own answers, and models favour their own")
    if judging and judging.samples > 1 and judging.sampling.temperature == 0:
        found.append("judge.samples asks for several verdicts, and at temperature 0 they are equal: raise it")
    if recipe.judge and not judging:
        found.append("strong_vs_weak heeds no ratings, so nobody judges")
    answers = sum(responder.samples or recipe.respond.samples for responder in recipe.respond.models)
    if recipe.answers and answers < 2 and not recipe.given:
        found.append("one answer a prompt gives no pairs: name a second model, or respond.samples: 2")
    return found + provider_warnings(recipe)


def cannot(model: ModelConfig) -> tuple[str, ...]:
    """What the provider of a model cannot do, as far as we know."""
    name = model.provider_name if isinstance(model, OpenAIModel) else None
    return providers()[name].cannot if name else ()


def provider_warnings(recipe: Recipe) -> list[str]:
    """What a recipe asks of a model that its provider, as far as we know, cannot do."""
    wanted: list[tuple[str, str, str]] = []
    if isinstance(recipe.source, MagpieSource):
        wanted.append((recipe.source.model, "completions", "raw completions, which Magpie needs"))
    if recipe.judging is not None and recipe.judging.output == "json":
        wanted += [(label, "json_schema", "answers held to a JSON schema") for label in recipe.judging.judges]
    if recipe.semantic is not None:
        wanted.append((recipe.semantic.model, "embeddings", "embeddings"))
    return [
        f"{label!r} is asked for {what}, and {model.provider_name} had none on {_as_of(model)}; name another model"
        for label, ability, what in wanted
        if isinstance(model := recipe.models[label], OpenAIModel) and ability in cannot(model)
    ]


def price_notes(recipe: Recipe) -> list[str]:
    """What our table of prices says of the models whose price the recipe leaves to it."""
    found = []
    for label, model in recipe.models.items():
        if isinstance(model, OpenAIModel) and "usd_per_million_tokens" not in model.model_fields_set:
            price, date = price_of(model), price_as_of(model.provider_name, model.model)
            if date is not None:
                what = f"${price.input:g} and ${price.output:g} a million tokens asked and answered"
                found.append(
                    f"{label}: {what}, by our table of {date}; if your bill differs, set usd_per_million_tokens"
                )
    return found


def _as_of(model: OpenAIModel) -> str:
    return providers()[model.provider_name or ""].as_of


def check_student(loaded: LoadedRecipe, said: Callable[[str], None]) -> None:
    """Open the student's tokenizer, where the recipe limits tokens. Raises TokenizerError."""
    if (limits := loaded.recipe.pairs.max_tokens) is not None:
        counter = token_counter(limits, loaded.base)
        how = "by its chat template" if counter.has_template else "text by text, since it has no chat template"
        said(f"the tokenizer {limits.tokenizer} counts the student's tokens {how}")


def destination_faults(recipe: Recipe) -> list[str]:
    """One sentence for each place to which the recipe publishes and that cannot be reached for want of a key."""
    hub = recipe.publish.hub
    variable = hub.missing_token() if hub is not None else None
    if variable is None:
        return []
    return [
        f"publish.hub: the environment variable {variable} is not set: set it to a token of the Hub that may write, "
        "or leave publish.hub out"
    ]


def example_requests(loaded: LoadedRecipe) -> Iterator[tuple[str, str]]:
    """One rendered request for each model that invents, responds or judges: a title, and its text.

    Raises PreQueryUnknownError where nobody knows what stands before the user's words, SteeringError.
    """
    recipe = loaded.recipe
    if isinstance(recipe.source, MagpieSource):
        engines = engines_for({recipe.source.model: recipe.models[recipe.source.model]})
        model, source = recipe.models[recipe.source.model], recipe.source
        begins = pre_query(source.template, model, engines.get(source.model), loaded.base)
        setting = Steering.read(source, loaded.base).of(0)
        yield f"{source.model} invents what comes after", begins.text(setting.system, steer=setting.steer)
    if (talks := dialogues(recipe.source)) is not None:
        engine = engines_for({talks.model: recipe.models[talks.model]}).get(talks.model)
        goes_on = converse.begins_for(talks, recipe.models[talks.model], engine, loaded.base)
        yield f"{talks.model} invents the user's next turn", goes_on.text(None, converse.EXAMPLE, talks.steer)
    prompt = {name: f"({name})" for name in recipe.kept_columns}
    prompt |= {"prompt_id": "0" * 32, "instruction": EXAMPLE["en"]}
    row = {**prompt, "messages": [{"role": "user", "content": EXAMPLE["en"]}]}
    for responder in recipe.respond.models:
        model = recipe.models[responder.use]
        sampling = responder.sampling.over(recipe.respond.sampling.over(model.sampling)).parameters()
        messages = conversation(row, recipe.respond.template, recipe.respond.system_of(responder))
        yield f"{responder.name} is asked", _pretty({"messages": messages, **sampling})
    if recipe.tags is not None:
        yield f"{recipe.tags.model} tags", tags.example(recipe.tags, EXAMPLE["en"])
    if recipe.rewrite is not None:
        yield f"{recipe.rewrite.model} rewrites", rewrite.example(recipe.rewrite, EXAMPLE["en"])
    if recipe.judging is not None:
        yield _judged(recipe.judging, row)


def _judged(judging: JudgeConfig, row: Mapping[str, Any]) -> tuple[str, str]:
    """What the judges are asked about an example, with a title."""
    language = "en" if judging.language == "auto" else judging.language
    example = {**row, "instruction": EXAMPLE[language], "messages": [{"role": "user", "content": EXAMPLE[language]}]}
    method = method_of(judging)
    texts = ["(first answer)", "(second answer)"][: len(method.groups(row["prompt_id"], 2)[0])]
    request = method.request(example, texts, judging.marks[0], language)
    return f"{', '.join(judging.judges)} judges", "\n".join(turn["content"] for turn in request["messages"])


def _pretty(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def check_endpoints(loaded: LoadedRecipe, ping: bool, said: Callable[[str], None]) -> list[str]:
    """Ask each endpoint whether it is there and knows the model; gives a sentence for each that cannot be used."""
    return asyncio.run(_check_all(loaded, ping, said))


async def _check_all(loaded: LoadedRecipe, ping: bool, said: Callable[[str], None]) -> list[str]:
    recipe, faults = loaded.recipe, list[str]()
    for label, model in recipe.models.items():
        if isinstance(model, VLLMModel):
            faults += check_vllm(label, model, loaded.base, said)
            continue
        if not isinstance(model, OpenAIModel):
            said(f"{label}: the bundled model")
            continue
        if isinstance(model, LiteLLMModel) and find_spec("litellm") is None:
            faults.append(f"models.{label}: {MISSING}")
            continue
        if (variable := missing_key(model)) is not None:
            faults.append(
                f"models.{label}.api_key_env: the environment variable {variable} is not set; set it to the key"
            )
            continue
        embeds = recipe.semantic is not None and label == recipe.semantic.model
        found = [await _check_one(label, model, address, (ping, embeds), said) for address in model.addresses]
        faults += [fault for fault in found if fault]
    return faults or await check_magpie(loaded, said)


async def _check_one(
    label: str, model: OpenAIModel, address: str, how: tuple[bool, bool], said: Callable[[str], None]
) -> str | None:
    """What is wrong with a model at one of its addresses, if anything; how: whether to ping it, and for a vector."""
    ping, embeds = how
    place = f"models.{label}"
    endpoint = endpoint_of(model, address)
    try:
        known = await endpoint.models()
        if "models" in cannot(model):  # its list names other things than those that can be asked
            known = None
        if known is not None and model.model not in known:
            return f"{place}.model: {model.model!r} is no model of {address}{nearest(model.model, known)}"
        said(f"{label}: {address} {'knows' if known else 'does not say whether it knows'} {model.model}")
        return _pinged(place, await endpoint.complete(PING_VECTOR if embeds else PING), said) if ping else None
    except openai.APIStatusError as error:
        return f"{place}: {address} answers {endpoint.without_key(read_failure(error).detail)}; check the key"
    except (openai.APIError, httpx2.HTTPError, OSError) as error:
        return f"{place}.base_url: nobody answers at {address} ({error}); start the server or correct the address"
    finally:
        await endpoint.close()


def _pinged(place: str, completion: Completion, said: Callable[[str], None]) -> str | None:
    if completion.error is not None:
        return f"{place}: a first request gave {completion.error} ({completion.detail})"
    said(f"  it answered {completion.text[:80]!r}")
    return None
