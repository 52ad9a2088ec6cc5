"""Models that we run ourselves, one engine for each set of weights, which loads them when it is first asked."""

from collections.abc import Mapping
from pathlib import Path

from kasasagi.blocks.models.kinds import BundledModel, ModelConfig, OpenAIModel, VLLMModel
from kasasagi.blocks.models.llm import Engine

_ENGINES: dict[tuple[str, int, int], Engine] = {}


def override_engine(engine: Engine, model: BundledModel) -> None:
    """Let another engine stand for a bundled model in this process, for tests and benchmarks."""
    _ENGINES[model.kind, model.batch_size, model.threads] = engine


def engine_for(model: BundledModel) -> Engine:
    """Return the engine of a bundled model; models that differ in sampling alone share one."""
    from kasasagi.blocks.engines.bundled import BundledEngine

    name = (model.kind, model.batch_size, model.threads)
    if name not in _ENGINES:
        _ENGINES[name] = BundledEngine(batch_size=model.batch_size, threads=model.threads)
    return _ENGINES[name]


def vllm_engine_for(model: VLLMModel, logs: Path) -> Engine:
    """Return the engine of a model on vLLM, which loads nothing yet; a server of ours writes its log into
    that folder.
    """
    if model.serve:
        from kasasagi.blocks.engines.vllm_server import VLLMServer

        return VLLMServer(model, logs)
    from kasasagi.blocks.engines.vllm import VLLMEngine

    return VLLMEngine(model)


def engines_for(models: Mapping[str, ModelConfig], logs: Path = Path("vllm"), base: Path = Path()) -> dict[str, Engine]:
    """Return the engines of those models that we run ourselves, by label; models that differ in sampling alone share
    one.

    base is the recipe's folder, beside which relative folders of weights are looked for first.
    """
    engines = {label: engine_for(model) for label, model in models.items() if isinstance(model, BundledModel)}
    own: dict[str, Engine] = {}
    for label, model in models.items():
        if isinstance(model, VLLMModel):
            key = model.engine_key()
            own[key] = engines[label] = own.get(key) or vllm_engine_for(model.with_resolved_folders(base), logs)
    return engines


def identity_of(model: ModelConfig, engines: Mapping[str, Engine], label: str) -> str:
    """Return what the ledger knows a model by."""
    return model.ledger_identity() if isinstance(model, OpenAIModel) else engines[label].identity()
