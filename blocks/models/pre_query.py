"""What stands before the user's words: the prompt that a chat model continues with an instruction (Magpie).

Magpie (arXiv 2406.08464) calls it the pre-query template. Here it comes from a tokenizer's own chat template, rendered
around a marker: what stands before the marker is the prefix, what follows it says where the user's words end.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from kasasagi.blocks.models.chat_template import ChatTemplate, TemplateRefusedError
from kasasagi.blocks.models.llm import Message

MARKERS = ("Kasasagi7Words", "kasasagi8words", "KASASAGI9WORDS")
_TOKEN = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{1,20}\]")
_WRITTEN_OUT = re.compile(r"""['"]type['"]: ?['"]text['"]""")
"""What a template leaves that writes a list of parts as Python or JSON does, and not the words in it."""


class PreQueryUnknownError(ValueError):
    """The text before the user's words is unknown."""


class PreQuery(Protocol):
    """One model's way to begin a user's turn."""

    def text(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str:
        """Return the prompt as a person reads it: system prompt, earlier turns, the user's marker and what steers."""
        ...

    def prompt(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str | list[int]:
        """Return the prompt as it is sent: a text, or token ids where an engine would make other tokens of the text."""
        ...

    def stops(self) -> dict[str, Any]:
        """Sampling fields that end the user's words: `stop`, and `stop_token_ids` where a text cannot say it."""
        ...


@dataclass(frozen=True)
class RenderedPrompt:
    """A conversation that ends in the user's turn, as a template writes it: before the user's words, and behind."""

    before: str
    behind: str


class TemplatePreQuery:
    """The pre-query of a chat template."""

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template

    def text(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str:
        """Return the prompt as a person reads it. Raises PreQueryUnknownError."""
        return self._render_turns(system, turns).before + steer

    def prompt(self, system: str | None = None, turns: Sequence[Message] = (), steer: str = "") -> str | list[int]:
        """Return the prompt as it is sent, with exactly one BOS. Raises PreQueryUnknownError."""
        return request_prompt(self.text(system, turns, steer), self.template, steer)

    def stops(self) -> dict[str, Any]:
        """Return what the template writes behind the user's words."""
        return self._stops

    @cached_property
    def _stops(self) -> dict[str, Any]:
        stop = self._first_behind(self._render_turns(None, ()).behind)
        if stop is None:
            return {}
        number = self.template.special_token_id(stop)
        ends_by_itself = number is None or stop == self.template.special.get("eos_token")
        return {"stop": [stop]} if ends_by_itself else {"stop": [stop], "stop_token_ids": [number]}

    def _first_behind(self, behind: str) -> str | None:
        """Return the first special token behind the user's words, with whatever stands before it; or else the first
        line.
        """
        text = behind.lstrip()
        line = text.split("\n", 1)[0].strip()
        special = self.template.special_tokens()
        for token in special:
            if text.startswith(token):
                return token
        if (mark := _TOKEN.match(text)) is not None:
            return mark[0]
        # What a template adds to the user's words, as " /no_think", no model writes: the token behind it ends the turn.
        inside = [(line.index(token), token) for token in special if token in line]
        return min(inside)[1] if inside else line or None

    def _render_turns(self, system: str | None, turns: Sequence[Message]) -> RenderedPrompt:
        head = [] if system is None else [{"role": "system", "content": system}]
        try:
            found = self._around([*head, *turns])
            if system is None or _has(found.before, system):
                return found
        except TemplateRefusedError:
            if system is None:
                raise
        # A template without a place for system prompts: as Gemma's own does it, it goes in front of the first words.
        return self._fold_system(str(system), turns)

    def _fold_system(self, system: str, turns: Sequence[Message]) -> RenderedPrompt:
        if not turns:
            plain = self._around([])
            return RenderedPrompt(f"{plain.before}{system.strip()}\n\n", plain.behind)
        first = {"role": turns[0]["role"], "content": f"{system.strip()}\n\n{turns[0]['content']}"}
        return self._around([first, *turns[1:]])

    def _around(self, messages: Sequence[Message]) -> RenderedPrompt:
        """Return the conversation with a user's turn at its end, cut at the marker that stands there."""
        marker = next(one for one in MARKERS if not any(one in message["content"] for message in messages))
        plain: list[Message] = [*messages, {"role": "user", "content": marker}]
        problems = []
        for conversation in (plain, [_in_parts(message) for message in plain]):
            try:
                text = self._render(conversation)
            except TemplateRefusedError as error:
                problems.append(f"does not accept a conversation that ends with a user's turn ({error})")
                continue
            if text.count(marker) == 1 and not _WRITTEN_OUT.search(text):
                before, _, behind = text.partition(marker)
                return RenderedPrompt(before, behind)
            problems.append("does not write the user's words")
        raise TemplateRefusedError(problems[0])

    def _render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        try:
            return self.template.render(messages, answer_next=True)
        except TemplateRefusedError:
            return self.template.render(messages)


def _in_parts(message: Message) -> Mapping[str, Any]:
    """Return a message whose words are a list of one part, as templates of models that also see take them."""
    return {**message, "content": [{"type": "text", "text": message["content"]}]}


def _has(text: str, words: str) -> bool:
    """Return whether a text holds some words, however a template has folded their blanks."""
    return " ".join(words.split()) in " ".join(text.split())


def request_prompt(text: str, template: ChatTemplate | None, steer: str) -> str | list[int]:
    """Return the prompt for a pre-query text: without the blank that belongs to the first word, and with one BOS."""
    text = text if steer else text.rstrip(" ")
    return text if template is None else template.exact(text)


def own_pre_query(template: ChatTemplate, name: str, place: str = "source") -> TemplatePreQuery:
    """Return the pre-query of a tokenizer's chat template, tried once; place is the part of the recipe that names it.

    Raises:
        PreQueryUnknownError: If the template cannot be used, naming the tokenizer.
    """
    found = TemplatePreQuery(template)
    try:
        found.text()
    except TemplateRefusedError as error:
        raise PreQueryUnknownError(
            f"{place}.template: the chat template of {name!r} {error}: write the text that stands before the user's "
            "words there, or the name of a family"
        ) from error
    return found
