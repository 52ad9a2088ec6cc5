"""What a card says of where a dataset comes from: its source and every model, each with its licence."""

from collections.abc import Mapping
from typing import Any

from kasasagi.tasks.publish.card.markdown import cell, code_block, table
from kasasagi.tasks.publish.config import HubConfig, PublishConfig

SOURCE = "source"
BUNDLED_LICENSE = "apache-2.0"
UNKNOWN = "unknown"


def provenance(config: PublishConfig, recipe: Mapping[str, Any]) -> list[str]:
    """Return the section on licences, where the dataset goes to the Hub or the recipe names any; else nothing."""
    if config.hub is None and not config.licenses:
        return []
    models = recipe.get("models") or {}
    rows = [(SOURCE, source_of(recipe.get("source") or {}), config.licenses.get(SOURCE, UNKNOWN))]
    rows += [(label, *model_of(config.licenses, label, model)) for label, model in models.items()]
    return [
        "## Sources and licences",
        table(("here", "what it is", "licence"), rows),
        "A licence is unknown if the recipe does not name it. The terms of every source and model that contributed "
        "to the data apply in addition to those of the dataset.",
    ]


def source_of(source: Mapping[str, Any]) -> str:
    """Return what a source is."""
    if source.get("kind") == "magpie":
        return f"instructions that {source.get('model')} invented (Magpie)"
    revision = source.get("revision")
    return f"prompts of {source.get('path')}" + (f" at {revision}" if revision else "")


def model_of(licenses: Mapping[str, str], label: str, model: Any) -> tuple[str, str]:
    """Return what a model is, and its licence."""
    fields = model if isinstance(model, Mapping) else {}
    bundled = fields.get("kind") == "bundled"
    name = "hina, bundled with kasasagi" if bundled else str(fields.get("model") or fields.get("kind") or label)
    revision = fields.get("revision")
    licence = licenses.get(label, BUNDLED_LICENSE if bundled else UNKNOWN)
    return f"{name} at {revision}" if revision else name, licence


def from_hub(hub: HubConfig | None) -> list[str]:
    """Return how the dataset is loaded from the Hub."""
    if hub is None:
        return []
    revision = f', revision="{hub.revision}"' if hub.revision else ""
    code = f'from datasets import load_dataset\n\ndataset = load_dataset("{hub.repo}"{revision}, split="train")'
    seen = f"It is private: log in with a token that may read {cell(hub.repo)}." if hub.private else ""
    return ["From the Hub:", code_block(code, "python"), *([seen] if seen else [])]
