"""The ways of judging: which responses are shown together, what is asked of them, and how the reply is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from blocks.llm import Message
from tasks.judge.comparing import read_comparison
from tasks.judge.config import JudgeConfig, Rubric
from tasks.judge.groups import Group, matches, one_by_one, side_by_side
from tasks.judge.lines import Verdict
from tasks.judge.prompt import Exhibit, Language, framed, judge_prompt
from tasks.judge.reader import read_ratings
from tasks.judge.rubric import rubric_fault, rubric_text, texts_of


class Method(Protocol):
    """One way of judging."""

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Which of a prompt's responses are shown together, by their places, in the first order."""

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """What is asked about some texts of a prompt, without the sampling."""

    def fault(self, prompt: Mapping[str, Any]) -> str | None:
        """Why nothing can be asked about a prompt, if so."""

    def read(self, words: str, count: int) -> list[Verdict]:
        """The verdict on each text. Raises UnreadableReply."""


@dataclass(frozen=True)
class Ultrafeedback:
    """All texts side by side, a rating from 1 to 5 of each (https://arxiv.org/abs/2310.01377)."""

    config: JudgeConfig

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """All at once."""
        return side_by_side(prompt_id, count)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """The texts under one aspect."""
        template, as_json = judge_prompt(language), self.config.output == "json"
        shown = Exhibit(prompt["messages"], texts, language, as_json)
        messages = framed(template, shown, {"aspect": template.aspects[aspect]})
        return _request(messages, _ratings_schema(len(texts), list(range(1, 6))) if as_json else None)

    def fault(self, prompt: Mapping[str, Any]) -> str | None:
        """Always None."""
        return None

    def read(self, words: str, count: int) -> list[Verdict]:
        """Ratings from 1 to 5."""
        return read_ratings(words, count)


@dataclass(frozen=True)
class Pairwise:
    """Two texts at a time: which is better, or neither. A response's rating is the share of matches that it wins."""

    config: JudgeConfig

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Each two, or as many matches as the recipe allows."""
        return matches(prompt_id, count, self.config.matches)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """Two texts."""
        as_json = self.config.output == "json"
        shown = Exhibit(prompt["messages"], texts, language, as_json)
        return _request(framed(judge_prompt(language, "pairwise"), shown, {}), _COMPARISON if as_json else None)

    def fault(self, prompt: Mapping[str, Any]) -> str | None:
        """Always None."""
        return None

    def read(self, words: str, count: int) -> list[Verdict]:
        """1 and 0, or one half each."""
        return read_comparison(words)


@dataclass(frozen=True)
class ByRubric:
    """The recipe's own rubric and scale, for all texts side by side or for each alone."""

    config: JudgeConfig

    @property
    def rubric(self) -> Rubric:
        """The recipe's rubric."""
        return self.config.rubric or Rubric(text="")

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """All at once, or each alone."""
        return side_by_side(prompt_id, count) if self.rubric.together else one_by_one(prompt_id, count)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """The texts under the rubric, in which the prompt's own columns stand between the marks as well."""
        as_json, rubric = self.config.output == "json", self.rubric
        fields = {
            "rubric": rubric_text(rubric.text or "", prompt),
            "lowest": rubric.lowest,
            "highest": rubric.highest,
            "halves": rubric.halves,
        }
        shown = Exhibit(prompt["messages"], texts, language, as_json, texts_of(prompt))
        messages = framed(judge_prompt(language, "rubric"), shown, fields)
        return _request(messages, _ratings_schema(len(texts), rubric.steps) if as_json else None)

    def fault(self, prompt: Mapping[str, Any]) -> str | None:
        """What the rubric's template cannot render."""
        return rubric_fault(self.rubric.text or "", prompt)

    def read(self, words: str, count: int) -> list[Verdict]:
        """Ratings on the rubric's scale."""
        rubric = self.rubric
        return read_ratings(words, count, scale=rubric.highest, lowest=rubric.lowest, allow_halves=rubric.halves)


@dataclass(frozen=True)
class Reward:
    """A reward model's number for each response, on the model's own scale."""

    config: JudgeConfig

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Each alone."""
        return one_by_one(prompt_id, count)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """The conversation, with the response as its last turn."""
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in prompt["messages"]]
        return {"messages": [*turns, {"role": "assistant", "content": texts[0]}]}

    def fault(self, prompt: Mapping[str, Any]) -> str | None:
        """Always None."""
        return None

    def read(self, words: str, count: int) -> list[Verdict]:
        """The number, as the endpoint read it."""
        return [Verdict(float(words), "")]


_METHODS: dict[str, type[Ultrafeedback] | type[Pairwise] | type[ByRubric] | type[Reward]] = {
    "ultrafeedback": Ultrafeedback,
    "pairwise": Pairwise,
    "rubric": ByRubric,
    "reward": Reward,
}


def method_of(config: JudgeConfig) -> Method:
    """The way of judging that a recipe chose."""
    return _METHODS[config.method](config)


def _request(messages: list[Message], schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Some messages, and what asks for JSON of a schema if one is given (OpenAI's structured outputs, also vLLM's)."""
    if schema is None:
        return {"messages": messages}
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    return {"messages": messages, "response_format": form}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _ratings_schema(count: int, steps: Sequence[float]) -> dict[str, Any]:
    whole = all(float(step).is_integer() for step in steps)
    entry = _object(
        text={"type": "integer", "enum": list(range(1, count + 1))},
        rationale={"type": "string"},
        rating={"type": "integer" if whole else "number", "enum": list(steps)},
    )
    return _object(ratings={"type": "array", "items": entry})


_COMPARISON = _object(rationale={"type": "string"}, better={"type": "string", "enum": ["1", "2", "tie"]})
