"""What a model that invents instructions is sent, rendered for a person."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kasasagi.blocks.engines.kinds import engines_for
from kasasagi.tasks.pre_query import pre_query
from kasasagi.tasks.stage import Example
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.steering import Steering


def example(recipe: Any, base: Path, row: dict[str, Any]) -> Iterator[Example]:
    """Yield the text of the first draw, which the model continues as a user.

    Raises:
        PreQueryUnknownError: If the text in front of the user's words is unknown.
        SteeringError: If a file of the steering cannot be used.
    """
    source: MagpieSource = recipe.source
    model = recipe.models[source.model]
    begins = pre_query(source.template, model, engines_for({source.model: model}).get(source.model), base)
    params = Steering.read(source, base).of(0)
    text = begins.text(params.system, steer=params.steer)
    yield Example("{model} continues this text as a user", source.model, text)
