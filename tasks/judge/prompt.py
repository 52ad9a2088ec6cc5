"""The judge prompt: which texts in which order, behind fences that no text can forge."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from blocks.canonical import digest
from blocks.llm import Message

Language = Literal["en", "ja"]
ASPECTS = ("overall-rating", "helpfulness", "honesty", "instruction-following", "truthfulness")
MARK_DIGITS = 6


@dataclass(frozen=True)
class JudgePrompt:
    """One language's judge prompt: its template, its aspects and the labels that a reply must carry."""

    system: str
    user: Template
    again: Template
    aspects: dict[str, dict[str, Any]]
    roles: dict[str, str]
    labels: dict[str, str]


@cache
def judge_prompt(language: Language) -> JudgePrompt:
    """The judge prompt of a language, from `tasks/prompts/ultrafeedback.<language>.yaml`."""
    text = files("tasks").joinpath(f"prompts/ultrafeedback.{language}.yaml").read_text(encoding="utf-8")
    fields = yaml.safe_load(text)
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    return JudgePrompt(
        system=fields["system"],
        user=environment.from_string(fields["user"]),
        again=environment.from_string(fields["again"]),
        aspects=fields["aspects"],
        roles=fields["roles"],
        labels=fields["labels"],
    )


def fence_mark(instruction: str, texts: Sequence[str]) -> str:
    """A mark that stands in none of the texts, the same for the same texts in every run."""
    for attempt in range(1_000_000):
        mark = digest([attempt, instruction, *texts])[:MARK_DIGITS]
        if not any(mark in text.lower() for text in (instruction, *texts)):
            return mark
    raise ValueError("the texts contain every mark that was tried: they cannot be fenced")


def instruction_text(messages: Sequence[Message], language: Language) -> str:
    """What the judge reads as the instruction: a lone user turn as it is, a longer conversation with its roles."""
    if len(messages) == 1:
        return messages[0]["content"]
    roles = judge_prompt(language).roles
    return "\n".join(f"{roles[message['role']]} {message['content']}" for message in messages)


def judge_messages(messages: Sequence[Message], texts: Sequence[str], aspect: str, language: Language) -> list[Message]:
    """The judge's request for some texts in the order in which they shall stand, as chat messages.

    The role stands in the system message alone, so that a model trained on such prompts never invents them as a
    user. The same texts in the same order give the same request.
    """
    prompt = judge_prompt(language)
    instruction = instruction_text(messages, language)
    user = prompt.user.render(
        count=len(texts),
        aspect=prompt.aspects[aspect],
        instruction=instruction,
        texts=list(texts),
        mark=fence_mark(instruction, texts),
    )
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": user}]


def asked_again(messages: Sequence[Message], reply: str, fault: str, language: Language) -> list[Message]:
    """The request that follows a reply which could not be read: the conversation so far, with the fault named."""
    again = judge_prompt(language).again.render(fault=fault)
    return [*messages, {"role": "assistant", "content": reply}, {"role": "user", "content": again}]


def first_order(prompt_id: str, count: int) -> tuple[int, ...]:
    """The order in which a prompt's texts are shown first: a permutation drawn from the prompt's digest."""
    ranks = [(digest([prompt_id, index]), index) for index in range(count)]
    return tuple(index for _, index in sorted(ranks))


def turned(order: Sequence[int]) -> tuple[int, ...]:
    """The second order: turned so that each text changes its place and as many pairs as possible change theirs."""
    reverse = list(reversed(order))
    middle = len(reverse) // 2
    if len(reverse) % 2 and len(reverse) > 1:
        reverse[middle], reverse[middle - 1] = reverse[middle - 1], reverse[middle]
    return tuple(reverse)
