"""Which pre-query a recipe means: the model's own chat template, a family's from the registry, or a literal text."""

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from kasasagi.blocks.models.chat_template import ChatTemplate, TokenizerUnusableError, chat_template
from kasasagi.blocks.models.kinds import Config, ModelConfig, OpenAIModel, VLLMModel
from kasasagi.blocks.models.llm import Engine, Message, PreQueryEngine
from kasasagi.blocks.models.pre_query import PreQuery, PreQueryUnknownError, own_pre_query, request_prompt
from kasasagi.blocks.suggestions import remedy

AUTO = "auto"
SYSTEM_HOLE = "{system}"
Own = Callable[[], ChatTemplate | None]
"""The model's own chat template, looked for when a prompt is sent, if its tokenizer is known; else None."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_.][A-Za-z0-9]+)*")


class LiteralTemplate(Config):
    """A pre-query text that looks like the name of a family."""

    literal: str = Field(description="The text, used unchanged.")


class Turn(Config):
    """How a family writes one side's turn."""

    before: str = Field(description="The text in front of the words.")
    after: str = Field(description="The text behind the words.")


class TemplateFamily(Config):
    """How the chat models of one family mark turns."""

    names: tuple[str, ...] = Field(description="Parts of model names that tell the family.")
    bos: str = Field("", description="The token that begins a text, if there is one.")
    adds_bos: bool = Field(False, description="Whether engines put it there themselves.")
    system: str | None = Field(None, description="The block of a system prompt, {text} in its place.")
    system_in_user: str | None = Field(None, description="How a system prompt stands in the first user's turn.")
    default_system: str | None = Field(None, description="The system prompt where none is given.")
    user: Turn = Field(description="The user's turn.")
    assistant: Turn = Field(description="The assistant's turn.")
    stop: tuple[str, ...] = Field(description="Texts that end the user's words.")

    def conversation(self, system: str | None, turns: Sequence[Message]) -> str:
        """Return everything before the user's next words, without the token that begins a text."""
        system = self.default_system if system is None else system
        lead = "" if system is None or self.system is None else self.system.replace("{text}", system)
        inner = "" if system is None or self.system_in_user is None else self.system_in_user.replace("{text}", system)
        text = lead
        for turn in turns:
            side = self.user if turn["role"] == "user" else self.assistant
            first, inner = (inner, "") if turn["role"] == "user" else ("", inner)
            text += f"{side.before}{first}{turn['content']}{side.after}"
        return f"{text}{self.user.before}{inner}"


@cache
def families() -> dict[str, TemplateFamily]:
    """Return the registry, from `tasks/prompts/pre_query.yaml`."""
    text = files("kasasagi.tasks").joinpath("prompts/pre_query.yaml").read_text(encoding="utf-8")
    return {name: TemplateFamily.model_validate(fields) for name, fields in yaml.safe_load(text).items()}


def family_of(model: str) -> str | None:
    """Return the family that a model's name suggests, by the longest part of it that tells one."""
    found = [(len(part), name) for name, family in families().items() for part in family.names if part in model.lower()]
    return max(found)[1] if found else None


class FamilyPreQuery:
    """The pre-query of a family; own gives the model's own chat template, for exact token ids."""

    def __init__(self, family: TemplateFamily, own: Own) -> None:
        self._family = family
        self._own = own

    def text(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str:
        """Return the prompt as a person reads it."""
        text = self._family.conversation(system, turns) + steer
        return text if self._family.adds_bos else self._family.bos + text

    def prompt(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str | list[int]:
        """Return the prompt as it is sent.

        Raises:
            PreQueryUnknownError: If the model's tokenizer is unusable.
        """
        return request_prompt(self.text(system, turns, steer), self._own(), steer)

    def stops(self) -> dict[str, Any]:
        """Return the family's stops."""
        return {"stop": list(self._family.stop)}


class LiteralPreQuery:
    """A text from the recipe; `{system}` in it is the place of a system prompt, and earlier turns have none."""

    def __init__(self, literal: str, own: Own, place: str) -> None:
        self._literal = literal
        self._own = own
        self._place = place

    def text(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str:
        """Return the text and what steers.

        Raises:
            PreQueryUnknownError: If it should hold more.
        """
        if (system and SYSTEM_HOLE not in self._literal) or turns:
            missing = "earlier turns" if turns else f"a system prompt ({SYSTEM_HOLE})"
            raise PreQueryUnknownError(
                f"{self._place}.template: the text {self._literal[:60]!r} has no place for {missing}: "
                "use auto or the name of a family, or write the whole into the text"
            )
        return self._literal.replace(SYSTEM_HOLE, system or "") + steer

    def prompt(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str | list[int]:
        """Return the text as it is sent.

        Raises:
            PreQueryUnknownError: If the model's tokenizer is unusable.
        """
        text, template = self.text(system, turns, steer), self._own()
        return text if template is None else template.exact(text)

    def stops(self) -> dict[str, Any]:
        """None: the recipe's own stops are all."""
        return {}


class EnginePreQuery:
    """The pre-query of an engine that knows its own chat template, and ends a turn by itself."""

    def __init__(self, engine: PreQueryEngine) -> None:
        self._engine = engine

    def text(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str:
        """Return the prompt as a person reads it."""
        return self._engine.pre_query_prefix(system, steer, *([turns] if turns else []))

    def prompt(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str | list[int]:
        """Return the prompt as it is sent."""
        return self.text(system, turns, steer)

    def stops(self) -> dict[str, Any]:
        """None: the engine ends a turn by itself."""
        return {}


def pre_query(
    template: str | LiteralTemplate,
    model: ModelConfig,
    engine: Engine | None = None,
    base: Path = Path(),
    place: str = "source",
) -> PreQuery:
    """Return the pre-query text that a recipe's template means for a model.

    With a family's name or a text, the model's tokenizer is only needed for sending, not for the text.

    Args:
        template: The recipe's template.
        model: The model's configuration.
        engine: The engine, if one is loaded.
        base: The recipe's folder.
        place: The part of the recipe that holds the template and the model, for errors.

    Raises:
        PreQueryUnknownError: The text before the user's words cannot be found, or the tokenizer cannot be used.
    """
    own = partial(_own_template, model, base, template == AUTO, place)
    if isinstance(template, LiteralTemplate):
        return LiteralPreQuery(template.literal, own, place)
    if template in families():
        return FamilyPreQuery(families()[template], own)
    if template != AUTO:
        return LiteralPreQuery(template, own, place)
    if (found := own()) is not None:
        return own_pre_query(found, str(tokenizer_of(model)), place)
    if isinstance(engine, PreQueryEngine):
        return EnginePreQuery(engine)
    raise PreQueryUnknownError(_unknown(model, place))


def _own_template(model: ModelConfig, base: Path, needed: bool, place: str) -> ChatTemplate | None:
    """Return the chat template of a model's tokenizer, where the recipe names one. Raises PreQueryUnknownError."""
    name = tokenizer_of(model)
    try:
        return chat_template(name, base, getattr(model, "revision", None), needed) if name else None
    except TokenizerUnusableError as error:
        words = "the name of a family, or the text that stands before the user's words,"
        instead = f", or write {words} as {place}.template" if needed else ""
        raise PreQueryUnknownError(f"{place}.model: {error}{instead}") from error


def tokenizer_of(model: ModelConfig) -> str | None:
    """Return the tokenizer whose chat template a model is asked by, where the recipe names one."""
    if isinstance(model, VLLMModel):
        return model.tokenizer or model.model
    return model.tokenizer if isinstance(model, OpenAIModel) else None


def _unknown(model: ModelConfig, place: str) -> str:
    name = str(getattr(model, "model", model.kind))
    family = family_of(name)
    guess = f"{place}.template: {family} (which its name suggests)" if family else "the name of a family"
    return (
        f"{place}.template: 'auto' needs the tokenizer of {name!r}: write its folder or its id on the Hub as the "
        f"model's tokenizer, or else {guess}, or the text that stands before the user's words"
    )


def check_template_name(template: str) -> str:
    """Return a template's text, as a recipe writes it.

    Raises:
        ValueError: For a name that no family has.
    """
    if template == AUTO or template in families() or not _NAME.fullmatch(template):
        return template
    hint = f"{remedy(template.lower(), [AUTO, *families()])} (a text that looks like a name is {{literal: …}})"
    raise ValueError(f"{template!r} is not a family of chat models; {hint}")
