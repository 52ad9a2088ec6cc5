"""A model that writes checklists and answers them: its answers follow from the item and the text alone."""

import json
import re
from collections.abc import Sequence
from typing import Any

from tests.fake_server.config import ServerConfig
from tests.fake_server.faults import draw
from tests.fake_server.labeller import FENCE, systems

WRITTEN = {
    "en": (
        (5, "Does the answer say something useful about the request number {number}?"),
        (3, "Is the answer easy to understand?"),
        (2, "Is every statement of the answer true?"),
        (1, "Does the answer use at most 60 words?"),
    ),
    "ja": (
        (5, "回答は{number}番の依頼について役に立つことを述べていますか。"),
        (3, "回答は分かりやすいですか。"),
        (2, "回答に書かれたことはすべて正しいですか。"),
        (1, "回答は200文字以内で書かれていますか。"),
    ),
}

DIGITS = re.compile(r"1 for yes, 0 for no|はいなら 1、いいえなら 0")


def checklist_reply(
    messages: Sequence[dict[str, Any]], digest: str, config: ServerConfig, as_json: bool = False
) -> str | None:
    """The reply to a request to write or to answer a checklist, or None where the messages are neither."""
    system, asked = messages[0]["content"], messages[-1]["content"]
    if messages[0]["role"] != "system":
        return None
    if system in systems("checklist_items"):
        return _written(messages[1]["content"], digest)
    if system not in systems("checklist"):
        return None
    if draw(config.seed, digest, "unreadable") < config.judge_unreadable:
        return "Most of it is fine, I would say yes."
    return _answered(messages[1]["content"] if len(messages) > 2 else asked, as_json)


def fulfils(item: str, text: str) -> bool:
    """Whether this judge says yes to an item about a text."""
    return draw("item", item, text) < 0.6


def _written(asked: str, digest: str) -> str:
    [(mark, request)] = FENCE.findall(asked)
    language = "ja" if re.search("[ぁ-ん]", request) else "en"
    return "\n".join(f"{mark} {weight}: {text.format(number=digest[:4])}" for weight, text in WRITTEN[language])


def _answered(asked: str, as_json: bool) -> str:
    [_, *questions, (mark, text)] = FENCE.findall(asked)
    answers = [fulfils(question, text) for _, question in questions]
    yes_no: tuple[Any, Any] = (0, 1) if DIGITS.search(asked) else ("no", "yes")
    if as_json:
        entries = [
            {"question": number, "reason": "So it is.", "answer": yes_no[yes]}
            for number, yes in enumerate(answers, start=1)
        ]
        return json.dumps({"mark": mark, "answers": entries})
    return "\n".join(
        f"Reason {number}: So it is.\n{mark} {number}: {yes_no[yes]}" for number, yes in enumerate(answers, start=1)
    )
