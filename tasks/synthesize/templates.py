"""What stands before a user's words in a chat template: the text that a model continues with an instruction."""

from typing import Any

from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.pre_query import PreQuery
from kasasagi.tasks.asking import Session
from kasasagi.tasks.pre_query import families, pre_query, tokenizer_of
from kasasagi.tasks.synthesize.config import MagpieSource, SystemPrompt


def pre_query_of(session: Session, source: MagpieSource) -> PreQuery:
    """Return what stands before the user's words for a run's model. Raises PreQueryUnknownError."""
    model = session.models[source.model]
    engine = None if isinstance(model, OpenAIModel) else session.dispatcher.engine(source.model)
    return pre_query(source.template, model, engine, session.base)


def first_system(source: MagpieSource) -> str | None:
    """Return the first system prompt that may be drawn, for an example."""
    first = next(iter(source.system_prompts), None)
    return first.text if isinstance(first, SystemPrompt) else first


def template_key(session: Session, source: MagpieSource) -> list[Any]:
    """Return what of a model's tokenizer or family changes the draws; nothing where the recipe itself says
    all of it.
    """
    model = session.models[source.model]
    if tokenizer_of(model) is None and source.template not in families():
        return []
    begins = pre_query_of(session, source)
    return [begins.prompt(first_system(source)), begins.stops()]
