"""Models in this process, one engine for each set of weights, made when they are first needed."""

from collections.abc import Mapping

from blocks.llm import Engine
from blocks.models import BundledModel, ModelConfig, OpenAIModel

_ENGINES: dict[tuple[str, int, int], Engine] = {}


def answer_with(engine: Engine, model: BundledModel) -> None:
    """Let another engine stand for a bundled model in this process, for tests and benchmarks."""
    _ENGINES[model.kind, model.batch_size, model.threads] = engine


def engine_for(model: BundledModel) -> Engine:
    """The engine of a bundled model; models that differ in sampling alone share one."""
    from blocks.bundled import BundledEngine

    name = (model.kind, model.batch_size, model.threads)
    if name not in _ENGINES:
        _ENGINES[name] = BundledEngine(batch_size=model.batch_size, threads=model.threads)
    return _ENGINES[name]


def engines_for(models: Mapping[str, ModelConfig]) -> dict[str, Engine]:
    """The engines of those models that run in this process, by label."""
    return {label: engine_for(model) for label, model in models.items() if isinstance(model, BundledModel)}


def identity_of(model: ModelConfig, engines: Mapping[str, Engine], label: str) -> str:
    """What the ledger knows a model by."""
    return model.known_as() if isinstance(model, OpenAIModel) else engines[label].identity()
