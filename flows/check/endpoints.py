"""`kasasagi check`: what can be known of a job before anything is paid for."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2
import openai

from kasasagi.blocks.endpoints.account_errors import with_remedy
from kasasagi.blocks.endpoints.connection_errors import connection_words
from kasasagi.blocks.endpoints.failures import UNAVAILABLE, read_failure
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from kasasagi.blocks.endpoints.redirects import RedirectRefusedError
from kasasagi.blocks.endpoints.reward import endpoint_of
from kasasagi.blocks.engines.kinds import bundled_engine
from kasasagi.blocks.models.kinds import (
    BundledModel,
    ModelConfig,
    OpenAIModel,
    Sampling,
    VLLMModel,
    price_of,
)
from kasasagi.blocks.models.llm import Completion, Request
from kasasagi.blocks.models.providers import price_as_of, providers
from kasasagi.flows.check.before_start import model_problems
from kasasagi.flows.check.engines import check_magpie
from kasasagi.flows.check.judges import Complete, ask_preference, example_row
from kasasagi.flows.check.vllm import describe_vllm
from kasasagi.flows.recipe.errors import nearest
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.views.language import say
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.pipeline import STAGES
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.token_counts import token_counter

PING_VECTOR = {"input": "Hello."}
PING = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}


def warnings(recipe: Recipe) -> list[str]:
    """Return what is allowed, but seldom meant."""
    responders = {responder.use for responder in recipe.respond.models}
    found = []
    judging = recipe.judging
    for name in judging.judges if judging else ():
        if name in responders:
            found.append(f"{name!r} judges its own answers, and models favour their own")
    if judging and judging.samples > 1 and judging.sampling.temperature == 0:
        found.append(
            "judge.samples asks for several verdicts, but at temperature 0 they are equal: raise the temperature"
        )
    found += [*_untrained_judges(recipe, judging), *_unreachable_margin(recipe, judging)] if judging else []
    if recipe.judge and not judging:
        found.append("strong_vs_weak uses no ratings, so no judge is asked")
    answers = sum(responder.samples or recipe.respond.samples for responder in recipe.respond.models)
    if recipe.answers and not recipe.pairing:
        found.append("no judge is named and no pairs are made, so the responses are the dataset; add judge for pairs")
    if recipe.pairing and answers < 2 and not (recipe.responses_provided or recipe.chooses_source or recipe.mixes):
        found.append("one answer per prompt gives no pairs: name a second model, or respond.samples: 2")
    return found + _overruled_sampling(recipe) + provider_warnings(recipe)


def _overruled_sampling(recipe: Recipe) -> list[str]:
    """Return the sampling parameters of a model that have no effect, because respond sets others."""
    stage = recipe.respond.sampling.parameters()
    return [
        f"models.{one.use}.sampling.{name}: {value} has no effect, since respond.sampling sets {stage[name]}; write "
        f"respond.models: [{{use: {one.use}, sampling: {{{name}: {value}}}}}]"
        for one in recipe.respond.models
        for name, value in recipe.models[one.use].sampling.parameters().items()
        if name in stage and stage[name] != value and name not in one.sampling.parameters()
    ]


def _untrained_judges(recipe: Recipe, judging: JudgeConfig) -> list[str]:
    """Return what bundled judges are asked in words that they were not trained on."""
    return [
        f"judge.prompt: the bundled model {name!r} understands only our judge prompt; leave it out"
        for name in judging.judges
        if judging.prompt is not None and isinstance(recipe.models[name], BundledModel)
    ]


def _unreachable_margin(recipe: Recipe, judging: JudgeConfig) -> list[str]:
    """Return that no two ratings of the judge's scale differ by the margin, if so."""
    scale = {"ultrafeedback": (1, 5)}.get(judging.method)
    if judging.method == "rubric" and judging.rubric is not None:
        scale = (judging.rubric.lowest, judging.rubric.highest)
    margin = recipe.pairs.min_margin
    if scale is None or margin <= (widest := scale[1] - scale[0]):
        return []
    ratings = f"from {scale[0]} to {scale[1]}"
    return [f"pairs.min_margin: {margin:g} gives no pairs, since ratings are {ratings}; write {widest} or less"]


def cannot(model: ModelConfig) -> tuple[str, ...]:
    """Return what the provider of a model is known not to support."""
    name = model.provider_name if isinstance(model, OpenAIModel) else None
    return providers()[name].cannot if name else ()


def provider_warnings(recipe: Recipe) -> list[str]:
    """Return what a recipe asks of a model that its provider is known not to support."""
    wanted: list[tuple[str, str, str]] = []
    if isinstance(recipe.source, MagpieSource):
        wanted.append((recipe.source.model, "completions", "raw completions, which Magpie needs"))
    if recipe.judging is not None and recipe.judging.output == "json":
        wanted += [(label, "json_schema", "answers that follow a JSON schema") for label in recipe.judging.judges]
    if recipe.semantic is not None:
        wanted.append((recipe.semantic.model, "embeddings", "embeddings"))
    return [
        f"{label!r} needs {what}, which {model.provider_name} did not offer on {_as_of(model)}; name another model"
        for label, ability, what in wanted
        if isinstance(model := recipe.models[label], OpenAIModel) and ability in cannot(model)
    ]


def price_notes(recipe: Recipe) -> list[str]:
    """Return what our table of prices says of the models whose price the recipe leaves to it."""
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


def check_student(loaded: LoadedRecipe, log: Callable[[str], None]) -> None:
    """Open the student's tokenizer, where the recipe limits tokens. Raises TokenizerError."""
    if (limits := loaded.recipe.pairs.max_tokens) is not None:
        counter = token_counter(limits, loaded.base)
        how = "by its chat template" if counter.has_template else "text by text, since it has no chat template"
        log(f"the tokenizer {limits.tokenizer} counts the student's tokens {how}")


def example_requests(loaded: LoadedRecipe, first: Mapping[str, Any] | None = None) -> Iterator[tuple[str, str]]:
    """Yield one rendered request for each model that invents, labels, rewrites, responds or judges: a title, its text.

    first is the source's first row that passes the filter; without one, a question of ours is the example. Raises
    PreQueryUnknownError where the text before the user's words is unknown, SteeringError.
    """
    row = dict(first or example_row(loaded.recipe))
    for stage in STAGES:
        for one in stage.examples(loaded.recipe, loaded.base, row):
            yield say(one.title, model=one.model), one.text


def check_endpoints(loaded: LoadedRecipe, ping: bool, log: Callable[[str], None]) -> list[str]:
    """Ask each endpoint whether it is there and knows the model; gives a sentence for each that cannot be used.

    Models that cannot be asked from here, for example without their key, are left out: problems_before_start has them.
    """
    return asyncio.run(_check_all(loaded, ping, log))


async def _check_all(loaded: LoadedRecipe, ping: bool, log: Callable[[str], None]) -> list[str]:
    recipe, problems = loaded.recipe, list[str]()
    for label, model in recipe.models.items():
        if model_problems(label, model, loaded.base):
            continue
        if isinstance(model, VLLMModel):
            describe_vllm(label, model, loaded.base, log)
            continue
        if not isinstance(model, OpenAIModel):
            log(f"{label}: the bundled model")
            if ping and recipe.judging is not None and label in recipe.judging.judges:
                failed = await _ping(loaded, label, _complete_here(model), log)
                problems += [failed] if failed else []
            continue
        found = [await _check_one(loaded, label, address, ping, log) for address in model.addresses]
        problems += [problem for problem in found if problem]
    return problems or await check_magpie(loaded, log)


def _complete_here(model: BundledModel) -> Complete:
    """Return a function that sends one request to a model in this process."""
    engine = bundled_engine(model)

    async def complete(request: Request) -> Completion:
        return (await asyncio.to_thread(engine.generate, [request]))[0]

    return complete


async def _check_one(
    loaded: LoadedRecipe, label: str, address: str, ping: bool, log: Callable[[str], None]
) -> str | None:
    """Return what is wrong with a model behind an endpoint at one of its addresses, if anything."""
    place, model = f"models.{label}", loaded.recipe.models[label]
    if not isinstance(model, OpenAIModel):
        return None
    endpoint = endpoint_of(model, address)
    try:
        known = await endpoint.models()
        if "models" in cannot(model):  # its list names other things than those that can be asked
            known = None
        if known is not None and model.model not in known:
            return f"{place}.model: {model.model!r} is not a model of {address}{nearest(model.model, known)}"
        log(f"{label}: {address} {'knows' if known else 'does not say whether it knows'} {model.model}")
        if not known and not httpx2.URL(address).path.strip("/"):
            log(f"{label}: most servers answer at {address.rstrip('/')}/v1: write that into base_url")
        return await _ping_endpoint(loaded, label, endpoint, log) if ping else None
    except openai.APIStatusError as error:
        return f"{place}: {address} {_refusal(error, endpoint, model)}"
    except RedirectRefusedError as error:
        return f"{place}.base_url: {error}"
    except (openai.APIError, httpx2.HTTPError, OSError) as error:
        return f"{place}.base_url: cannot connect to {address}: {connection_words(error)}"
    finally:
        await endpoint.close()


def _refusal(error: openai.APIStatusError, endpoint: OpenAIEndpoint, model: OpenAIModel) -> str:
    """Return how a server refuses to list its models, and what to do."""
    failure = read_failure(error)
    words = with_remedy(failure.error, endpoint.without_key(failure.detail))
    if error.status_code in UNAVAILABLE:
        return f"is loading or down (it answers {words}); a run waits up to {model.patience_s:g} s (patience_s) for it"
    return f"answers {words}"


async def _ping_endpoint(
    loaded: LoadedRecipe, label: str, endpoint: OpenAIEndpoint, log: Callable[[str], None]
) -> str | None:
    """Send a first request to a model behind an endpoint, and say what of it the model does not take."""
    failed = await _ping(loaded, label, endpoint.complete, log)
    for remedy in endpoint.adaptation.remedies(label):
        log(f"  {remedy}")
    return failed


def _sampling_of(recipe: Recipe, label: str) -> dict[str, Any]:
    """Return the sampling that a model's first responder is asked with, so that a ping meets what the run will meet."""
    model, responders = recipe.models[label], [one for one in recipe.respond.models if one.use == label]
    over = responders[0].sampling.over(recipe.respond.sampling) if responders else Sampling()
    return over.over(model.sampling).parameters()


async def _ping(loaded: LoadedRecipe, label: str, complete: Complete, log: Callable[[str], None]) -> str | None:
    """Send a first request to a model, a judge an example of two answers; gives a sentence where it fails."""
    recipe = loaded.recipe
    if recipe.judging is not None and label in recipe.judging.judges:
        failed = await ask_preference(loaded, recipe.judging, label, complete, log)
    else:
        embeds = recipe.semantic is not None and label == recipe.semantic.model
        completion = await complete(PING_VECTOR if embeds else {**_sampling_of(recipe, label), **PING})
        failed = None if completion.error is None else completion
        if failed is None:
            log(f"  it answered {completion.text[:80]!r}")
    if failed is None:
        return None
    return f"models.{label}: a first request gave {failed.error} ({with_remedy(failed.error, failed.detail)})"
