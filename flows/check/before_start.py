"""The faults of a recipe that show before anything starts or is paid for, all at once: `run` and `check` share them."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from kasasagi.blocks.models.kinds import LiteLLMModel, ModelConfig, OpenAIModel, VLLMModel, missing_key
from kasasagi.blocks.models.pre_query import PreQueryUnknownError
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.check.destinations import destination_problems
from kasasagi.flows.check.parts import part_problems
from kasasagi.flows.check.prefect_limits import limits_without_server
from kasasagi.flows.check.vllm import vllm_problems
from kasasagi.flows.recipe.loading import LoadedRecipe, missing_columns
from kasasagi.tasks.converse.dialogue import begins_for
from kasasagi.tasks.converse.plan import dialogues
from kasasagi.tasks.load import DatasetSource, SourceError, check_source
from kasasagi.tasks.pre_query import pre_query
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.packs import SteeringError
from kasasagi.tasks.synthesize.steering import Steering
from kasasagi.tasks.token_counts import TokenizerError, token_counter

RUN = "run"
"""What stands for the id of a run that has not started, where a place to publish holds {run}."""


def problems_before_start(
    loaded: LoadedRecipe, workspace: Workspace, run: str = RUN, publish: bool = True
) -> list[str]:
    """Return one sentence for each fault of a recipe that can be found without a call to a model.

    Args:
        loaded: The recipe; models that take a block from Prefect are left out until they are filled.
        workspace: The workspace of the run.
        run: The run's id, for places that hold it.
        publish: Whether the run publishes.
    """
    return [
        *source_problems(loaded),
        *part_problems(loaded, workspace),
        *(text for label, model in loaded.recipe.models.items() for text in model_problems(label, model, loaded.base)),
        *dict.fromkeys((*_magpie_problems(loaded), *_turns_problems(loaded))),
        *_tokenizer_problems(loaded),
        *limits_without_server(loaded),
        *(destination_problems(loaded, workspace, run) if publish else ()),
    ]


def source_problems(loaded: LoadedRecipe) -> list[str]:
    """Return one sentence for each reason why a recipe's source cannot be read."""
    source = loaded.recipe.source
    if not isinstance(source, DatasetSource):
        return []
    try:
        problems = missing_columns(loaded)
        if not problems:
            check_source(source, loaded.base)
    except SourceError as error:
        return [str(error)]
    return problems


def model_problems(label: str, model: ModelConfig, base: Path) -> list[str]:
    """Return why a model cannot be asked from here, if that shows without asking it; base is the recipe's folder."""
    return list(_model_problems(label, model, base))


def _model_problems(label: str, model: ModelConfig, base: Path) -> Iterator[str]:
    if isinstance(model, VLLMModel):
        yield from vllm_problems(label, model, base)
    elif isinstance(model, LiteLLMModel) and find_spec("litellm") is None:
        from kasasagi.blocks.endpoints.litellm import missing

        yield f"models.{label}: {missing()}"
    elif not _unfilled(model) and (variable := missing_key(model)) is not None:
        yield f"models.{label}.api_key_env: the environment variable {variable} is not set; set it to the key"


def _magpie_problems(loaded: LoadedRecipe) -> list[str]:
    """Return why nothing can be put before the user's words, or what steers cannot be read."""
    source = loaded.recipe.source
    if not isinstance(source, MagpieSource):
        return []
    model, problems = loaded.recipe.models[source.model], list[str]()
    try:
        Steering.read(source, loaded.base)
    except SteeringError as error:
        problems.append(str(error))
    try:
        if isinstance(model, OpenAIModel):  # our own engines know their templates
            pre_query(source.template, model, None, loaded.base)
    except PreQueryUnknownError as error:
        problems.append(str(error))
    return problems


def _turns_problems(loaded: LoadedRecipe) -> list[str]:
    """Return why the model that plays the user in further turns cannot be asked for them."""
    plan = dialogues(loaded.recipe.source)
    model = loaded.recipe.models[plan.model] if plan else None
    try:
        if plan is not None and isinstance(model, OpenAIModel):
            begins_for(plan, model, None, loaded.base)
    except PreQueryUnknownError as error:
        return [str(error)]
    return []


def _tokenizer_problems(loaded: LoadedRecipe) -> list[str]:
    """Return why the student's tokens cannot be counted, where the recipe limits them."""
    limits = loaded.recipe.pairs.max_tokens
    try:
        if limits is not None:
            token_counter(limits, loaded.base)
    except TokenizerError as error:
        return [str(error)]
    return []


def _unfilled(model: ModelConfig) -> bool:
    """Return whether a model takes its key from a block that is not loaded, or holds none."""
    return isinstance(model, OpenAIModel) and bool(model.block) and model.api_key_env is None
