"""A judge that knows the project's judge prompt: it rates each fenced text by the text's own digest."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
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
    """The reply form of one language's judge prompt."""

    language: str
    section: str
    rationale: str
    rating: str

    def reply(self, ratings: Sequence[object]) -> str:
        """A reply in this form, one section for each rating."""
        sections = (
            f"{self.section.format(number=number)}\n"
            f"{self.rationale} {RATIONALES[self.language]}\n{self.rating} {rating}"
            for number, rating in enumerate(ratings, start=1)
        )
        return "\n\n".join(sections)


@cache
def forms() -> dict[str, Form]:
    """The reply forms by the system message that asks for them, from the project's prompt files."""
    found = {}
    for language in RATIONALES:
        fields = yaml.safe_load((PROMPTS / f"ultrafeedback.{language}.yaml").read_text(encoding="utf-8"))
        found[fields["system"]] = Form(language, **fields["labels"])
    return found


def text_rating(text: str) -> int:
    """The rating from 1 to 5 that this judge gives a text, whatever stands beside it."""
    return 1 + int(draw("rating", text) * 5)


def judge_reply(messages: Sequence[dict[str, Any]], digest: str, config: ServerConfig) -> str | None:
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
    return form.reply(ratings)


def fenced_texts(user: str) -> list[str]:
    """The texts to be rated in a judge request: all fenced ones but the first, which is the instruction."""
    return [found.group(2) for found in FENCE.finditer(user)][1:]


def _unreadable(form: Form, ratings: Sequence[int], digest: str) -> str:
    kinds = (
        PROSE[form.language],
        form.reply([7 for _ in ratings]),
        form.reply(["good" for _ in ratings]),
        form.reply(ratings).replace(f"{form.rating} ", ""),
    )
    return random.Random(digest).choice(kinds)
