"""The items of a prompt as a model writes them: one call for each prompt, kept in the ledger."""

import re
from collections.abc import Mapping
from typing import Any

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Message
from kasasagi.tasks.asking import Session
from kasasagi.tasks.judge.checklist.config import Item
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.prompt import fence_mark, instruction_text
from kasasagi.tasks.parsing import UnreadableError, asking_language, prompt_file, question, request_body, template

PROMPT = "checklist_items"
MOST_WRITTEN = 20
_WEIGHTED = r"\W*([1-5])[^\w:：.)]*[:：.)]\s*(\S.*)"
_NUMBERED = re.compile(r"\W*[0-9]{1,2}\s*[:：.)]\s*\S.*")
"""A line without a mark that may be an item."""


def items_messages(config: JudgeConfig, prompt: Mapping[str, Any]) -> list[Message]:
    """Return the request that has the checklist of a prompt written; the same prompt gives the same request."""
    language = asking_language(config.language, prompt["messages"])
    request = instruction_text(prompt["messages"], language)
    user = template(PROMPT, language, "user").render(request=request, mark=mark_of(config, prompt))
    return [{"role": "system", "content": prompt_file(PROMPT, language)["system"]}, {"role": "user", "content": user}]


def mark_of(config: JudgeConfig, prompt: Mapping[str, Any]) -> str:
    """Return the mark of that request, which stands in no turn of the prompt."""
    language = asking_language(config.language, prompt["messages"])
    return fence_mark(instruction_text(prompt["messages"], language), ())


def items_question(session: Session, config: JudgeConfig, prompt: Mapping[str, Any]) -> Question:
    """Return the question that has the checklist of a prompt written.

    Raises:
        TypeError: If the recipe has no model for that.
    """
    if (writer := config.items_writer) is None:
        raise TypeError("the items of this checklist are given")
    body = request_body(session, writer, config.sampling)
    return question(session, writer, items_messages(config, prompt), body).about(prompt["prompt_id"])


def read_written(mark: str, reply: str) -> tuple[Item, ...]:
    """Return the items of a reply: the lines with the mark, each with its weight.

    Raises:
        UnreadableError: If the reply has none, or a line that may be one and cannot be read.
    """
    found: dict[str, Item] = {}
    for raw in reply.splitlines():
        if mark not in raw.lower():
            if _NUMBERED.fullmatch(raw):
                raise UnreadableError("unclear_item", f"the line {raw.strip()[:60]!r} lacks the mark {mark}")
            continue
        line = re.fullmatch(rf"\W*{mark}{_WEIGHTED}", raw.strip(), re.IGNORECASE)
        if line is None or mark in line[2].lower():
            what = "is not the mark, a weight from 1 to 5 and a question"
            raise UnreadableError("unclear_item", f"the line {raw.strip()[:60]!r} {what}")
        one = Item(item=line[2].strip(), weight=float(line[1]))
        found.setdefault(one.item, one)
    if not found:
        raise UnreadableError("no_items", f"no line begins with the mark {mark}, a weight and a question")
    if len(found) > MOST_WRITTEN:
        raise UnreadableError("unclear_item", f"{len(found)} items are more than {MOST_WRITTEN}")
    return tuple(found.values())
