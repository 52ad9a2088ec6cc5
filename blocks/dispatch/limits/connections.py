"""The limit that the system's limit on open files sets to the calls in flight, since each holds a connection open."""

from collections.abc import Callable, Mapping

from kasasagi.blocks.file_limit import OWN_FILES, file_limit, raise_file_limit
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel


def with_enough_files(models: Mapping[str, ModelConfig], log: Callable[[str], None]) -> dict[str, ModelConfig]:
    """Return models whose calls in flight leave a run the files that it needs; logs once where that lowers a limit.

    Every label keeps connections of its own to each of its addresses, open for a while after the last call.
    """
    raise_file_limit()
    files = file_limit()
    places = sum(len(model.addresses) for model in models.values() if isinstance(model, OpenAIModel))
    share = max(1, (files - OWN_FILES) // max(1, places))
    bounded = {label: _bounded(model, share) for label, model in models.items()}
    if lowered := [label for label, model in models.items() if bounded[label] is not model]:
        log(
            f"the system allows this process {files:,} open files, so at most {share:,} calls are in flight at each "
            f"address of {', '.join(lowered)}; raise the limit with ulimit -n, or lower max_concurrency"
        )
    return bounded


def _bounded(model: ModelConfig, share: int) -> ModelConfig:
    """Return a model with no more calls in flight at an address than its share of connections."""
    if not isinstance(model, OpenAIModel):
        return model
    most = min(model.most_concurrency(address) for address in model.addresses)
    if max(model.most_concurrency(address) for address in model.addresses) <= share:
        return model
    first = min(model.first_concurrency(address) for address in model.addresses)
    return model.model_copy(update={"max_concurrency": min(most, share), "start_concurrency": min(first, share)})
