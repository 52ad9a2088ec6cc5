"""The way of judging `checklist`: one response alone, all its open items in one call, yes or no to each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from kasasagi.blocks.canonical import digest
from kasasagi.tasks.asking import Answered
from kasasagi.tasks.judge.checklist.sheet import Sheet, unchecked
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.groups import Group, one_by_one
from kasasagi.tasks.judge.methods import json_object, with_schema
from kasasagi.tasks.judge.prompt import MARK_DIGITS, Exhibit, Language, build_messages, judge_prompt
from kasasagi.tasks.judge.replies.checklist import AnswerForm, ItemAnswer, checklist_places, read_checklist
from kasasagi.tasks.judge.replies.distribution import by_distribution
from kasasagi.tasks.judge.replies.lines import Verdict
from kasasagi.tasks.text.thoughts.thinking import split_thinking

BY_PROBABILITY: Literal["distribution"] = "distribution"
EXAMPLE: dict[Language, str] = {"en": "Is what the text says right?", "ja": "文章の内容は正しいですか。"}


@dataclass(frozen=True)
class Checklist:
    """Yes or no to each item; a response's rating is the weighted share of yes (the idea of arXiv 2507.18624).

    A sheet belongs to one response. Without one, an example of an item is asked.
    """

    config: JudgeConfig
    bundled: bool = False
    sheet: Sheet | None = None

    def about(self, sheet: Sheet) -> "Checklist":
        """Return this way of judging for one response."""
        return replace(self, sheet=sheet)

    @property
    def _sheet(self) -> Sheet:
        return self.sheet or unchecked([EXAMPLE["ja" if self.config.language == "ja" else "en"]])

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Return a group for each response."""
        return one_by_one(prompt_id, count)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """Return the open items about one text."""
        as_json, sheet = self.config.output == "json", self._sheet
        form = self._form([turn["content"] for turn in prompt["messages"]], texts)
        shown = Exhibit(prompt["messages"], texts, language, as_json, mark=form.mark)
        fields = {"questions": sheet.questions, "digits": form.digits}
        messages = build_messages(judge_prompt(language, "checklist"), shown, fields)
        return with_schema(messages, _schema(form, len(sheet.questions)) if as_json else None)

    def problem(self, prompt: Mapping[str, Any]) -> str | None:
        """Return None: our words fit every prompt."""
        return None

    def read(self, words: str, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()) -> list[Verdict]:
        """Return the weighted share of the items that are fulfilled, on a scale from 0 to 10."""
        sheet, answers = self._sheet, self._answers(words, texts, data)
        return [Verdict(sheet.rating([float(one.yes) for one in answers]), sheet.rationale(answers))]

    def weighed(self, verdict: Verdict, answer: Answered, texts: Sequence[str], data: Sequence[str]) -> Verdict:
        """Return a verdict with each answer counted by the probability of yes, where the server gives it.

        Args:
            verdict: What was read in the reply.
            answer: The reply.
            texts: The text that was rated.
            data: All else that the judge was shown and that came from data.
        """
        words, _ = split_thinking(answer.completion.text, answer.completion.reasoning)
        sheet, answers, form = self._sheet, self._answers(words, texts, data), self._form(data, texts)
        marks = [Verdict(float(one.yes), one.reason) for one in answers]
        items = by_distribution(marks, answer, range(2), [*texts, *data], partial(checklist_places, form))
        shares = [one.rating for one in items]
        read = next((one.read for one in items if one.read != BY_PROBABILITY), BY_PROBABILITY)
        return Verdict(sheet.rating(shares), sheet.rationale(answers, shares), verdict.rating, read)

    def _answers(self, words: str, texts: Sequence[str], data: Sequence[str]) -> list[ItemAnswer]:
        questions = self._sheet.questions
        return read_checklist(words, len(questions), self._form(data, texts), [*texts, *data, *questions])

    def _form(self, data: Sequence[str], texts: Sequence[str]) -> AnswerForm:
        return AnswerForm(mark_for(self._sheet, data, texts), self.config.read == BY_PROBABILITY)


def mark_for(sheet: Sheet, data: Sequence[str], texts: Sequence[str]) -> str:
    """Return the mark of a request, which stands in nothing that the judge is shown.

    It follows from the items of the prompt alone, so that the requests about all its responses begin alike; a text that
    contains it has another.
    """
    seed = [one.item for one in sheet.items]
    shown = [text.lower() for text in (*seed, *data, *texts)]
    for attempt in range(1_000_000):
        mark = digest([attempt, *seed])[:MARK_DIGITS]
        if not any(mark in text for text in shown):
            return mark
    raise ValueError("the texts contain every mark that was tried: they cannot be fenced")


def _schema(form: AnswerForm, count: int) -> dict[str, Any]:
    answer = json_object(
        question={"type": "integer", "enum": list(range(1, count + 1))},
        reason={"type": "string"},
        answer={"type": "integer", "enum": [0, 1]} if form.digits else {"type": "string", "enum": ["yes", "no"]},
    )
    return json_object(mark={"type": "string", "enum": [form.mark]}, answers={"type": "array", "items": answer})
