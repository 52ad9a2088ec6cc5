"""Models that we run ourselves, one engine for each set of weights, which loads them when it is first asked."""

from collections.abc import Hashable, Mapping
from pathlib import Path

from kasasagi.blocks.models.kinds import BundledModel, ModelConfig, OpenAIModel, VLLMModel
from kasasagi.blocks.models.llm import Engine


def bundled_engine(model: BundledModel) -> Engine:
    """Return the engine of a bundled model, which loads nothing yet."""
    from kasasagi.blocks.engines.bundled import BundledEngine

    return BundledEngine(batch_size=model.batch_size, threads=model.threads)


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
    engines: dict[str, Engine] = {}
    made: dict[Hashable, Engine] = {}
    for label, model in models.items():
        if not isinstance(model, OpenAIModel):
            engines[label] = _made_once(made, model, logs, base)
    return engines


def _made_once(made: dict[Hashable, Engine], model: BundledModel | VLLMModel, logs: Path, base: Path) -> Engine:
    """Return a model's engine, which is the one that was made before where the weights are the same."""
    if isinstance(model, BundledModel):
        key: Hashable = (model.batch_size, model.threads)
        return made.get(key) or made.setdefault(key, bundled_engine(model))
    key = model.engine_key()
    return made.get(key) or made.setdefault(key, vllm_engine_for(model.with_resolved_folders(base), logs))


def identity_of(model: ModelConfig, engines: Mapping[str, Engine], label: str) -> str:
    """Return what the ledger knows a model by."""
    return model.ledger_identity() if isinstance(model, OpenAIModel) else engines[label].identity()
