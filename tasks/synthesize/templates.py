"""What stands before a user's words in a chat template: the text from which a model goes on with an instruction."""

from blocks.llm import Engine, PreQueryEngine
from tasks.synthesize.config import MagpieSource


class TemplateUnknownError(ValueError):
    """Nobody says what stands before the user's words in a model's chat template."""


def prefixes(source: MagpieSource, engine: Engine | None) -> list[str]:
    """The texts that the model goes on from, one for each system prompt; engine is the model's, if it has one here.

    Raises TemplateUnknownError where the template is to be found out and nobody tells it.
    """
    if source.template != "auto":
        return [source.template + (source.steer or "")]
    if not isinstance(engine, PreQueryEngine):
        raise TemplateUnknownError(
            f"source.template: 'auto' needs a model that knows its chat template, and {source.model!r} does not tell: "
            "write the text that stands before the user's words there"
        )
    return [engine.pre_query_prefix(system, source.steer or "") for system in source.system_prompts or (None,)]
