"""The judge prompts: which texts in which order, behind fences that no text can forge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

import yaml
from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.models.llm import Message

Language = Literal["en", "ja"]
ASPECTS = ("overall-rating", "helpfulness", "honesty", "instruction-following", "truthfulness")
MARK_DIGITS = 6


@dataclass(frozen=True)
class JudgePrompt:
    """The prompt of one way of judging in one language: its templates, its aspects, and the labels of a reply.

    `user` asks for labelled lines and `user_json` for one JSON object; `own` and `own_json` do the same after a
    recipe's own prompt. `again` repeats the request after an unreadable reply. With `mark_by_order` each order of the
    texts has a different mark.
    """

    system: str
    user: Template
    user_json: Template
    own: Template
    own_json: Template
    again: Template
    aspects: dict[str, dict[str, Any]]
    roles: dict[str, str]
    labels: dict[str, str]
    mark_by_order: bool


@cache
def judge_prompt(language: Language, name: str = "ultrafeedback", *, bundled: bool = False) -> JudgePrompt:
    """Return the prompt of a way of judging in a language, from `tasks/prompts/<name>.<language>.yaml`.

    bundled takes that which the bundled model was trained on, where it has one.
    """
    fields, frame = yaml.safe_load(_prompt_file(name, language)), own_frame(language)["frame"] + "\n"
    trained = fields.get("bundled", {}) if bundled else {}
    user = trained.get("user", fields["user"])
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    return JudgePrompt(
        system=fields["system"],
        user=environment.from_string(user + fields["form"]),
        user_json=environment.from_string(user + fields["form_json"]),
        own=environment.from_string(frame + fields["form"]),
        own_json=environment.from_string(frame + fields["form_json"]),
        again=environment.from_string(fields["again"]),
        aspects={**fields.get("aspects", {}), **trained.get("aspects", {})},
        roles=fields["roles"],
        labels=fields["labels"],
        mark_by_order=bool(trained),
    )


@cache
def aspect_labels(name: str) -> dict[int, tuple[str, ...]]:
    """Return the words that the prompts of an aspect have for each rating, in all languages."""
    prompts = [judge_prompt(language, bundled=bundled) for language in get_args(Language) for bundled in (False, True)]
    scales = [prompt.aspects[name]["scale"] for prompt in prompts]
    return dict(enumerate(zip(*scales, strict=True), start=1))


@cache
def aspect_names(name: str) -> tuple[str, ...]:
    """Return the names of an aspect in the prompts of all languages."""
    return tuple(judge_prompt(language).aspects[name]["name"] for language in get_args(Language))


def _prompt_file(name: str, language: Language) -> str:
    return files("kasasagi.tasks").joinpath(f"prompts/{name}.{language}.yaml").read_text(encoding="utf-8")


@cache
def own_frame(language: Language) -> dict[str, str]:
    """Return what stands around a recipe's own judge prompt, and how it numbers the texts."""
    fields: dict[str, str] = yaml.safe_load(_prompt_file("own", language))
    return fields


@cache
def prompt_digest(name: str) -> str:
    """Return the digest of our words for a way of judging, in all languages: a change makes other requests."""
    return digest([_prompt_file(one, language) for one in (name, "own") for language in get_args(Language)])


def fence_mark(instruction: str, texts: Sequence[str]) -> str:
    """Return a mark that stands in none of the texts, the same for the same texts in every run."""
    for attempt in range(1_000_000):
        mark = digest([attempt, instruction, *texts])[:MARK_DIGITS]
        if not any(mark in text.lower() for text in (instruction, *texts)):
            return mark
    raise ValueError("the texts contain every mark that was tried: they cannot be fenced")


def instruction_text(messages: Sequence[Message], language: Language) -> str:
    """Return what the judge reads as the instruction: a lone user turn as it is, a longer conversation with
    its roles.
    """
    if len(messages) == 1:
        return messages[0]["content"]
    roles = judge_prompt(language).roles
    return "\n".join(f"{roles[message['role']]} {message['content']}" for message in messages)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What a judge is shown.

    Attributes are the conversation, the answers to it in their order, and the form and language of the reply. `further`
    contains texts that occur elsewhere in the request as data. `mark` is the mark around it, if known.
    """

    messages: Sequence[Message]
    texts: Sequence[str]
    language: Language
    as_json: bool = False
    further: Sequence[str] = ()
    mark: str = ""


def judge_messages(
    messages: Sequence[Message], texts: Sequence[str], aspect: str, language: Language, *, bundled: bool = False
) -> list[Message]:
    """Return the request to rate some texts under one aspect, as chat messages.

    The same texts in the same order give the same request. The role is in the system message only, so that a model that
    was trained on such prompts does not generate them when it plays the user.

    Args:
        messages: The conversation that the texts answer.
        texts: The texts in the order in which the judge sees them.
        aspect: The aspect to rate.
        language: The language of the prompt.
        bundled: Use the prompt of the bundled model.
    """
    prompt = judge_prompt(language, bundled=bundled)
    return build_messages(prompt, Exhibit(messages, texts, language), {"aspect": prompt.aspects[aspect]})


def build_messages(prompt: JudgePrompt, shown: Exhibit, fields: Mapping[str, Any]) -> list[Message]:
    """Return the messages of a request to a judge: a prompt around an instruction and some texts, each between marks.

    Args:
        prompt: The templates of one language.
        shown: What the judge is shown.
        fields: Further fields of the template. A function is called with the mark. The mark occurs in none of the
            texts and does not depend on their order, so that the requests in both orders begin alike. The field own is
            the recipe's own prompt, which replaces ours.
    """
    instruction = instruction_text(shown.messages, shown.language)
    texts = list(shown.texts)
    among = [*(texts if prompt.mark_by_order else sorted(texts)), *shown.further]
    mark = shown.mark or fence_mark(instruction, among)
    more = {name: value(mark) if callable(value) else value for name, value in fields.items()}
    lines, as_json = (prompt.own, prompt.own_json) if "own" in fields else (prompt.user, prompt.user_json)
    template = as_json if shown.as_json else lines
    user = template.render(count=len(texts), instruction=instruction, texts=texts, mark=mark, **more)
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": user}]


def repair_messages(
    messages: Sequence[Message], reply: str, problem: str, language: Language, name: str = "ultrafeedback"
) -> list[Message]:
    """Return the request that follows a reply which could not be read: the conversation so far, with the
    problem named.
    """
    again = judge_prompt(language, name).again.render(fault=problem)
    return [*messages, {"role": "assistant", "content": reply}, {"role": "user", "content": again}]


def first_order(prompt_id: str, count: int) -> tuple[int, ...]:
    """Return the order in which a prompt's texts are shown first: a permutation drawn from the prompt's digest."""
    ranks = [(digest([prompt_id, index]), index) for index in range(count)]
    return tuple(index for _, index in sorted(ranks))


def second_order(order: Sequence[int]) -> tuple[int, ...]:
    """Return the second order: turned so that each text changes its place and as many pairs as possible
    change theirs.
    """
    reverse = list(reversed(order))
    middle = len(reverse) // 2
    if len(reverse) % 2 and len(reverse) > 1:
        reverse[middle], reverse[middle - 1] = reverse[middle - 1], reverse[middle]
    return tuple(reverse)
