"""Thinking as one model marks it: as the recipe says, else as the model's own chat template cuts it off.

Templates drop the thinking of earlier turns, and so name its marks: `content.split('</think>')[-1]` behind the end,
`split('<think>')` before it, or the two around `message.reasoning_content`.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from kasasagi.blocks.models.chat_template import TokenizerUnusableError, cached_folder, template_text
from kasasagi.blocks.models.kinds import BundledModel, ModelConfig
from kasasagi.blocks.models.llm import Completion
from kasasagi.tasks.pre_query import tokenizer_of
from kasasagi.tasks.text.thoughts.thinking import split_thinking
from kasasagi.tasks.text.thoughts.thinking_forms import Form, own_form

_QUOTED = r"(['\"])(?P<{name}>[^'\"\n]{{2,60}}?)(?:\\n)*\{quote}"
_CUT = r"\b(?:r?split|r?partition)\(\s*{mark}\s*(?:,\s*\d+\s*)?\)\s*\[\s*{place}\s*\]"
_BEHIND = r"(?:-\s*1|1|2)"
_END_THEN_BEGIN = re.compile(
    _CUT.format(mark=_QUOTED.format(name="end", quote=1), place=0)
    + r"[^{}%]{0,80}?"
    + _CUT.format(mark=_QUOTED.format(name="begin", quote=3), place=_BEHIND)
)
_END = re.compile(_CUT.format(mark=_QUOTED.format(name="end", quote=1), place=_BEHIND))
_FIELD = r"\w+(?:\.|\[['\"])(?:reasoning_content|reasoning|thinking)(?:['\"]\])?(?:\s*\|\s*trim)?(?:\.strip\([^)]*\))?"
_AROUND_IN_CODE = re.compile(
    rf"(['\"])(?:\\n)*(?P<begin>[^'\"\s\\]{{2,60}})(?:\\n)*\1\s*[+~]\s*{_FIELD}\s*[+~]\s*"
    r"(['\"])(?:\\n)*(?P<end>[^'\"\s\\]{2,60})"
)
_AROUND_IN_TEXT = re.compile(
    rf"(?P<begin>[^\s{{}}%]{{2,60}})\s*{{{{-?\s*{_FIELD}\s*-?}}}}\s*(?P<end>[^\s{{}}%]{{2,60}})"
)
_BEGINS_ANSWER = re.compile(r"\A\W*(?:begin|start)[\W_].*(?:response|answer|solution)\b", re.IGNORECASE)
"""Ends thinking that the chat template has begun with plain words, such as Apriel's [BEGIN FINAL RESPONSE]."""
_IS_MARK = re.compile(r"\W.*\w.*\W", re.DOTALL)
_NOT_OF_THINKING = re.compile(r"answer|response|output|solution|final|content|tool|function|\W/?s\W", re.IGNORECASE)
"""What marks an answer, a call of a tool or a whole text; templates cut those out in the same way."""


def forms_of(model: ModelConfig, base: Path) -> tuple[Form, ...]:
    """Return the forms of thinking of a model's own; base is the recipe's folder, where its tokenizer may lie."""
    if isinstance(model, BundledModel):
        return ()
    if model.thinking:
        return tuple(own_form(marks.begin, marks.end) for marks in model.thinking)
    name = tokenizer_of(model)
    return _of_tokenizer(name, base, getattr(model, "revision", None)) if name else ()


@lru_cache(maxsize=64)
def _of_tokenizer(name: str, base: Path, revision: str | None) -> tuple[Form, ...]:
    folder = cached_folder(name, base, revision)
    with suppress(TokenizerUnusableError):
        text = template_text(folder) if folder else None
        return tuple(own_form(*marks) for marks in sorted(marks_in(text or "")))
    return ()


def marks_in(template: str) -> set[tuple[str, str]]:
    """Return the marks of thinking that a chat template names, each as (begin, end); "" is a beginning in
    plain words.
    """
    return {(begin, end) for begin, end in _named(template) if not begin or _mark_thinking(begin, end)}


def _mark_thinking(*marks: str) -> bool:
    return all(_IS_MARK.search(mark) and not _NOT_OF_THINKING.search(mark) for mark in marks)


def _named(template: str) -> Iterator[tuple[str, str]]:
    for pattern in (_END_THEN_BEGIN, _AROUND_IN_CODE, _AROUND_IN_TEXT):
        yield from ((found["begin"], found["end"]) for found in pattern.finditer(template) if found["begin"])
    for found in _END.finditer(template):
        begin = found["end"].replace("/", "", 1)
        if _BEGINS_ANSWER.search(found["end"]):
            yield "", found["end"]
        elif begin != found["end"] and begin in template:
            yield begin, found["end"]


def split_own(completion: Completion, forms: tuple[Form, ...]) -> Completion:
    """Return a completion whose thinking, marked as its model does it, stands in its own field."""
    if not forms or completion.error is not None:
        return completion
    text, thinking = split_thinking(completion.text, completion.reasoning, forms)
    return completion if text == completion.text else replace(completion, text=text, reasoning=thinking)
