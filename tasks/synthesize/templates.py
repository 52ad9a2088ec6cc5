"""What stands before a user's words in a chat template: the text from which a model goes on with an instruction."""

from blocks.llm import Engine, PreQueryEngine
from tasks.synthesize.config import MagpieSource, SystemPrompt

SYSTEM_HOLE = "{system}"


class TemplateUnknownError(ValueError):
    """Nobody says what stands before the user's words in a model's chat template."""


def prefixes(source: MagpieSource, engine: Engine | None) -> list[str]:
    """The texts that the model goes on from, one for each system prompt; engine is the model's, if it has one here.

    Raises TemplateUnknownError where the template is to be found out and nobody tells it, or has no place for a
    system prompt.
    """
    systems = [one.text if isinstance(one, SystemPrompt) else one for one in source.system_prompts] or [None]
    return [prefix(source, engine, system, source.steer or "") for system in systems]


def prefix(source: MagpieSource, engine: Engine | None, system: str | None, steer: str) -> str:
    """The text that the model goes on from, with a system prompt and words behind the user marker.

    Raises TemplateUnknownError as `prefixes` does.
    """
    if source.template != "auto":
        return _filled(source, system) + steer
    if not isinstance(engine, PreQueryEngine):
        raise TemplateUnknownError(
            f"source.template: 'auto' needs a model that knows its chat template, and {source.model!r} does not tell: "
            "write the text that stands before the user's words there"
        )
    return engine.pre_query_prefix(system, steer)


def _filled(source: MagpieSource, system: str | None) -> str:
    """A literal template with the system prompt in its place."""
    if system and SYSTEM_HOLE not in source.template:
        raise TemplateUnknownError(
            f"source.template: {source.template!r} has no place for a system prompt: write {SYSTEM_HOLE} where it "
            "stands in the model's chat template, or steer by text behind the user marker (steer, packs_as: start)"
        )
    return source.template.replace(SYSTEM_HOLE, system or "")
