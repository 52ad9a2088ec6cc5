"""How many calls begin at once at the places where models are asked."""

from collections.abc import Iterable, Mapping

from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel, VLLMModel

TURNS_SLOTS = 10_000
"""Where several models take turns on a device, so many calls wait, so that turns are rare."""


def calls_at_once(models: Mapping[str, ModelConfig], identities: Mapping[str, str], labels: Iterable[str]) -> int:
    """Return how many calls to some of a run's models begin at once; models at one address share its limit.

    Args:
        models: All models of the run by label.
        identities: What the ledger knows them by, by label.
        labels: Those that are asked.
    """
    engines = {identities[label] for label, model in models.items() if isinstance(model, VLLMModel)}
    places: set[tuple[str, int]] = set()
    for label in labels:
        model = models[label]
        if isinstance(model, OpenAIModel):
            places |= {(address, model.first_concurrency(address)) for address in model.addresses if not model.batch}
        else:
            places.add((identities[label], TURNS_SLOTS if len(engines) > 1 else model.batch_size))
    return sum(slots for _, slots in places)
