"""The ways of judging: which responses are shown together, what is asked of them, and how the reply is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from kasasagi.blocks.models.llm import Message
from kasasagi.tasks.asking import Answered
from kasasagi.tasks.judge.config import JudgeConfig, Rubric
from kasasagi.tasks.judge.groups import Group, matches, one_by_one, side_by_side
from kasasagi.tasks.judge.named import METHODS
from kasasagi.tasks.judge.own_prompt import own_prompt, prompt_problem
from kasasagi.tasks.judge.prompt import (
    Exhibit,
    JudgePrompt,
    Language,
    aspect_labels,
    aspect_names,
    build_messages,
    judge_prompt,
)
from kasasagi.tasks.judge.replies.comparing import read_comparison
from kasasagi.tasks.judge.replies.lines import Verdict
from kasasagi.tasks.judge.replies.rating_words import RatingScale
from kasasagi.tasks.judge.replies.reader import read_ratings
from kasasagi.tasks.judge.replies.together import Aspects, read_together
from kasasagi.tasks.judge.rubric import rubric_labels, rubric_problem, rubric_text, texts_of


class Method(Protocol):
    """One way of judging."""

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Return which of a prompt's responses are shown together, by their places, in the first order."""

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """Return what is asked about some texts of a prompt, without the sampling."""

    def problem(self, prompt: Mapping[str, Any]) -> str | None:
        """Return why nothing can be asked about a prompt, if so."""

    def read(self, words: str, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()) -> list[Verdict]:
        """Return the verdict on each of the texts that were shown.

        Args:
            words: The judge's reply.
            texts: The texts in the order in which it saw them.
            aspect: What they were judged by.
            data: All else that it was shown and that came from data.

        Raises:
            UnreadableReply: The reply is not clear.
        """


class MethodForOne(Method, Protocol):
    """A way of judging that belongs to one request, and weighs its own verdicts."""

    def weighed(self, verdict: Verdict, answer: Answered, texts: Sequence[str], data: Sequence[str]) -> Verdict:
        """Return a verdict by the probabilities of what the judge could have written.

        Args:
            verdict: What was read in the reply.
            answer: The reply.
            texts: The texts that were shown.
            data: All else that the judge was shown and that came from data.
        """


@dataclass(frozen=True)
class Ultrafeedback:
    """All texts side by side, a rating from 1 to 5 of each (https://arxiv.org/abs/2310.01377)."""

    config: JudgeConfig
    bundled: bool = False

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Return one group of all responses."""
        return side_by_side(prompt_id, count)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """Return the texts under one aspect."""
        as_json, ours = self.config.output == "json", judge_prompt(language, bundled=self.bundled)
        words = ours.aspects[aspect]
        shown = Exhibit(prompt["messages"], texts, language, as_json)
        messages = _messages(self.config, ours, shown, prompt, {"aspect": words}, {"aspect": words["name"]})
        return with_schema(messages, _ratings_schema(len(texts), list(range(1, 6))) if as_json else None)

    def problem(self, prompt: Mapping[str, Any]) -> str | None:
        """Return what the recipe's own prompt cannot render."""
        return _prompt_problem(self.config, prompt, {"aspect": ""})

    def read(self, words: str, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()) -> list[Verdict]:
        """Ratings from 1 to 5."""
        scale = RatingScale(1, 5, labels=aspect_labels(aspect) if aspect else {})
        return read_ratings(words, len(texts), scale=scale, texts=[*texts, *data])


@dataclass(frozen=True)
class Together:
    """All texts side by side, rated under all aspects in one reply."""

    config: JudgeConfig

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Return one group of all responses."""
        return side_by_side(prompt_id, count)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """Return the texts under all aspects."""
        as_json, ours = self.config.output == "json", judge_prompt(language, "together")
        known, names = judge_prompt(language).aspects, self.config.aspects
        shown = Exhibit(prompt["messages"], texts, language, as_json)
        fields = {"aspects": [{**known[name], "key": name} for name in names]}
        ratings = _ratings_list(len(texts), list(range(1, 6)))
        schema = json_object(**dict.fromkeys(names, ratings)) if as_json else None
        return with_schema(build_messages(ours, shown, fields), schema)

    def problem(self, prompt: Mapping[str, Any]) -> str | None:
        """Return None: our words fit every prompt."""
        return None

    def read(self, words: str, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()) -> list[Verdict]:
        """Ratings from 1 to 5, those under the first aspect first."""
        return read_together(words, len(texts), asked_aspects(self.config), texts=[*texts, *data])


@dataclass(frozen=True)
class Pairwise:
    """Two texts at a time: which is better, or neither. A response's rating is the share of matches that it wins."""

    config: JudgeConfig
    bundled: bool = False

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Return groups of two, at most as many as the recipe allows."""
        return matches(prompt_id, count, self.config.matches)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """Return two texts."""
        as_json, ours = self.config.output == "json", judge_prompt(language, "pairwise", bundled=self.bundled)
        shown = Exhibit(prompt["messages"], texts, language, as_json)
        return with_schema(_messages(self.config, ours, shown, prompt, {}, {}), _COMPARISON if as_json else None)

    def problem(self, prompt: Mapping[str, Any]) -> str | None:
        """Return what the recipe's own prompt cannot render."""
        return _prompt_problem(self.config, prompt, {})

    def read(self, words: str, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()) -> list[Verdict]:
        """1 and 0, or one half each."""
        return read_comparison(words, [*texts, *data])


@dataclass(frozen=True)
class ByRubric:
    """The recipe's own rubric and scale, for all texts side by side or for each alone."""

    config: JudgeConfig
    bundled: bool = False

    @property
    def rubric(self) -> Rubric:
        """The recipe's rubric."""
        return self.config.rubric or Rubric(text="")

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Return one group of all responses, or a group for each."""
        return side_by_side(prompt_id, count) if self.rubric.together else one_by_one(prompt_id, count)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """Return the texts under the rubric, in which the prompt's own columns stand between the marks as well."""
        as_json, rubric = self.config.output == "json", self.rubric
        ours = judge_prompt(language, "rubric", bundled=self.bundled)
        fields = {
            "rubric": rubric_text(rubric.text or "", prompt),
            "lowest": rubric.lowest,
            "highest": rubric.highest,
            "halves": rubric.halves,
        }
        shown = Exhibit(prompt["messages"], texts, language, as_json, texts_of(prompt))
        messages = _messages(self.config, ours, shown, prompt, fields, {"rubric": fields["rubric"]})
        return with_schema(messages, _ratings_schema(len(texts), rubric.steps) if as_json else None)

    def problem(self, prompt: Mapping[str, Any]) -> str | None:
        """Return what the rubric's template, or the recipe's own prompt, cannot render."""
        rubric = self.rubric.text or ""
        fields = {"rubric": rubric_text(rubric, prompt)}
        return rubric_problem(rubric, prompt) or _prompt_problem(self.config, prompt, fields)

    def read(self, words: str, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()) -> list[Verdict]:
        """Ratings on the rubric's scale."""
        rubric = self.rubric
        scale = RatingScale(rubric.lowest, rubric.highest, rubric.halves, rubric_labels(rubric.text or ""))
        return read_ratings(words, len(texts), scale=scale, texts=[*texts, *data])


@dataclass(frozen=True)
class Reward:
    """A reward model's number for each response, on the model's own scale."""

    config: JudgeConfig
    bundled: bool = False

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Return a group for each response."""
        return one_by_one(prompt_id, count)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """Return the conversation, with the response as its last turn."""
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in prompt["messages"]]
        return {"messages": [*turns, {"role": "assistant", "content": texts[0]}]}

    def problem(self, prompt: Mapping[str, Any]) -> str | None:
        """Always None."""
        return None

    def read(self, words: str, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()) -> list[Verdict]:
        """Return the number, as the endpoint read it."""
        return [Verdict(float(words), "")]


def method_of(config: JudgeConfig, base: Path = Path(), *, bundled: bool = False) -> Method:
    """Return the way of judging that a recipe chose.

    Args:
        config: The judge's configuration.
        base: The recipe's folder, where a way of a user's own lies.
        bundled: Whether the bundled model is asked, in the words that it was trained on.
    """
    if config.together:
        return Together(config)
    method: Method = METHODS.find(config.method, base)(config, bundled=bundled)
    return method


def _messages(
    config: JudgeConfig,
    ours: JudgePrompt,
    shown: Exhibit,
    prompt: Mapping[str, Any],
    fields: Mapping[str, Any],
    placeholders: Mapping[str, Any],
) -> list[Message]:
    """Return the words to a judge: ours with their fields, or the recipe's own prompt with its placeholders."""
    if config.prompt is None:
        return build_messages(ours, shown, fields)
    shown = replace(shown, further=texts_of(prompt))
    own = own_prompt(config.prompt.text or "", prompt, shown, placeholders)
    return build_messages(ours, shown, {**fields, "own": own})


def _prompt_problem(config: JudgeConfig, prompt: Mapping[str, Any], placeholders: Mapping[str, Any]) -> str | None:
    """Return what the recipe's own prompt cannot render, if it has one."""
    return prompt_problem(config.prompt.text or "", prompt, placeholders) if config.prompt else None


def with_schema(messages: list[Message], schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return some messages, and what asks for JSON of a schema if one is given (OpenAI's structured outputs, also
    vLLM's).
    """
    if schema is None:
        return {"messages": messages}
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    return {"messages": messages, "response_format": form}


def json_object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with these properties, all of them required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def asked_aspects(config: JudgeConfig) -> Aspects:
    """Return the aspects that one call asks for, with their scales and names."""
    return {name: (RatingScale(1, 5, labels=aspect_labels(name)), aspect_names(name)) for name in config.aspects}


def _ratings_schema(count: int, steps: Sequence[float]) -> dict[str, Any]:
    return json_object(ratings=_ratings_list(count, steps))


def _ratings_list(count: int, steps: Sequence[float]) -> dict[str, Any]:
    whole = all(float(step).is_integer() for step in steps)
    entry = json_object(
        text={"type": "integer", "enum": list(range(1, count + 1))},
        rationale={"type": "string"},
        rating={"type": "integer" if whole else "number", "enum": list(steps)},
    )
    return {"type": "array", "items": entry}


_COMPARISON = json_object(rationale={"type": "string"}, better={"type": "string", "enum": ["1", "2", "tie"]})
