"""A judge that knows the project's judge prompt: it rates each fenced text by the text's own digest."""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.fake_server.config import ServerConfig
from tests.fake_server.faults import draw

PROMPTS = Path(__file__).parents[2] / "tasks" / "prompts"
FENCE = re.compile(r"\[(\w{4,64})\n(.*?)\n\1\]", re.DOTALL)
RATIONALES = {
    "en": "The text is clear, but one point stays open.",
    "ja": "文章は分かりやすいが、一点だけ説明が足りない。",
}
PROSE = {
    "en": "Both texts have their merits, and I like them.",
    "ja": "どちらの文章にも良さがあり、好ましいと思います。",
}


@dataclass(frozen=True, slots=True)
class Form:
    """The reply form of one language's judge prompt; that of a comparison has `better` in place of sections."""

    language: str
    rationale: str
    section: str = ""
    rating: str = ""
    better: str = ""
    text: str = ""
    tie: str = ""
    aspect: str = ""

    def reply(self, ratings: Sequence[object], aspects: Sequence[str] = ()) -> str:
        """A reply in this form, one section for each rating, or which of two texts is rated higher.

        Where several aspects are asked for, each has the same sections below its heading.
        """
        if self.better:
            return f"{self.rationale} {RATIONALES[self.language]}\n{self.better} {self._better(ratings)}"
        if self.aspect and aspects:
            one = replace(self, aspect="")
            return "\n\n".join(f"{self.aspect.format(name=name)}\n{one.reply(ratings)}" for name in aspects)
        sections = (
            f"{self.section.format(number=number)}\n"
            f"{self.rationale} {RATIONALES[self.language]}\n{self.rating} {rating}"
            for number, rating in enumerate(ratings, start=1)
        )
        return "\n\n".join(sections)

    def json_reply(self, ratings: Sequence[object], aspects: Sequence[str] = ()) -> str:
        """The same as JSON."""
        why = RATIONALES[self.language]
        if self.better:
            winner = winner_of(ratings)
            return json.dumps({"rationale": why, "better": str(winner) if winner else "tie"}, ensure_ascii=False)
        entries = [{"text": n, "rationale": why, "rating": rating} for n, rating in enumerate(ratings, start=1)]
        return json.dumps(dict.fromkeys(aspects, entries) or {"ratings": entries}, ensure_ascii=False)

    def _better(self, ratings: Sequence[object]) -> str:
        winner = winner_of(ratings)
        return self.text.format(number=winner) if winner else self.tie


def winner_of(ratings: Sequence[object]) -> int:
    """The number of the text that is rated higher of two; 0 for a tie, and for what cannot be compared."""
    numbers = [rating for rating in ratings if isinstance(rating, int)]
    if len(numbers) != 2 or numbers[0] == numbers[1]:
        return 0
    return 1 if numbers[0] > numbers[1] else 2


@cache
def forms() -> dict[str, Form]:
    """The reply forms by the system message that asks for them, from the project's prompt files."""
    found = {}
    for file in sorted(PROMPTS.glob("*.*.yaml")):
        fields = yaml.safe_load(file.read_text(encoding="utf-8"))
        if fields.get("labels"):
            found[fields["system"]] = Form(file.suffixes[0][1:], **fields["labels"])
    return found


def text_rating(text: str) -> int:
    """The rating from 1 to 5 that this judge gives a text, whatever stands beside it."""
    return 1 + int(draw("rating", text) * 5)


def judge_reply(
    messages: Sequence[dict[str, Any]], digest: str, config: ServerConfig, as_json: bool = False
) -> str | None:
    """The judge's reply to a request of that digest, or None where the messages are no judge request."""
    form = forms().get(messages[0]["content"]) if messages[0]["role"] == "system" else None
    if form is None:
        return None
    texts = fenced_texts(messages[-1]["content"])
    ratings = [text_rating(text) for text in texts]
    if ratings and draw(config.seed, digest, "position") < config.judge_position_bias:
        ratings[0] = min(5, ratings[0] + 1)
    if draw(config.seed, digest, "unreadable") < config.judge_unreadable:
        return _unreadable(form, ratings, digest)
    if as_json:
        return form.json_reply(ratings, re.findall(r'"([a-z-]+)": \[', messages[-1]["content"]) if form.aspect else ())
    return form.reply(ratings, _aspects(form, messages[-1]["content"]))


def _aspects(form: Form, user: str) -> list[str]:
    """The names of the aspects whose headings a request shows; none where it asks for one aspect."""
    if not form.aspect:
        return []
    heading = re.escape(form.aspect).replace(re.escape("{name}"), "(.+)")
    return [found[1] for found in re.finditer(rf"^{heading}$", user, re.MULTILINE)]


def fenced_texts(user: str) -> list[str]:
    """The texts to be rated in a judge request: all fenced ones but the first, which is the instruction."""
    return [found.group(2) for found in FENCE.finditer(user)][1:]


def _unreadable(form: Form, ratings: Sequence[int], digest: str) -> str:
    kinds = (
        PROSE[form.language],
        *([] if form.better else [form.reply([7 for _ in ratings]), form.reply(["good" for _ in ratings])]),
        form.reply(ratings).replace(f"{form.better or form.rating} ", ""),
    )
    return random.Random(digest).choice(kinds)
