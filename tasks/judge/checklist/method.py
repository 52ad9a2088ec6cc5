"""The way of judging `checklist`: one response alone, all its open items in one call, yes or no to each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kasasagi.blocks.canonical import digest
from kasasagi.tasks.judge.checklist.sheet import Sheet, unchecked
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.groups import Group, one_by_one
from kasasagi.tasks.judge.methods import json_object, with_schema
from kasasagi.tasks.judge.prompt import MARK_DIGITS, Exhibit, Language, build_messages, judge_prompt
from kasasagi.tasks.judge.replies.checklist import read_checklist
from kasasagi.tasks.judge.replies.lines import Verdict

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
        mark = mark_for(sheet, [turn["content"] for turn in prompt["messages"]], texts)
        shown = Exhibit(prompt["messages"], texts, language, as_json, mark=mark)
        messages = build_messages(judge_prompt(language, "checklist"), shown, {"questions": sheet.questions})
        return with_schema(messages, _schema(mark, len(sheet.questions)) if as_json else None)

    def problem(self, prompt: Mapping[str, Any]) -> str | None:
        """Return None: our words fit every prompt."""
        return None

    def read(self, words: str, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()) -> list[Verdict]:
        """Return the weighted share of the items that are fulfilled, on a scale from 0 to 10."""
        sheet = self._sheet
        shown = [*texts, *data, *sheet.questions]
        answers = read_checklist(words, len(sheet.questions), mark_for(sheet, data, texts), shown)
        return [Verdict(sheet.rating(answers), sheet.rationale(answers))]


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


def _schema(mark: str, count: int) -> dict[str, Any]:
    answer = json_object(
        question={"type": "integer", "enum": list(range(1, count + 1))},
        reason={"type": "string"},
        answer={"type": "string", "enum": ["yes", "no"]},
    )
    return json_object(mark={"type": "string", "enum": [mark]}, answers={"type": "array", "items": answer})
