"""Split what a thinking model thought from what it answered.

FORMS lists how models mark their thinking; a further form is one more line there. A form stands at the beginning of a
reply. Where the chat template has already opened it (Qwen 3.5, DeepSeek R1, Step 3), only its end is in the reply.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Form:
    """One way to mark thinking, as regular expressions.

    Attributes:
        begin: What stands in front of the thinking.
        end: What stands behind it; \\1 is the first group of begin.
        lone: Whether an end without a beginning marks thinking too.
        must_end: Whether a beginning without an end is text, since it consists of plain words.
    """

    begin: str
    end: str
    lone: bool = False
    must_end: bool = False


FORMS = (
    # DeepSeek, Qwen, GLM, MiniMax, Nemotron, SmolLM; ByteDance Seed, MiniMax M-series, LongCat.
    Form(r"<\s*((?:seed:|mm:)?think|longcat_think)\s*>", r"</\s*\1\s*>", lone=True),
    # EXAONE Deep, Marco-o1, Reflection, Claude's and many prompts.
    Form(r"<\s*(thinking|thoughts?|reasoning)\s*>", r"</\s*\1\s*>"),
    # Magistral; Command A Reasoning; Kimi; Gemma 4; Sky-T1; Apertus.
    Form(r"\[THINK\]", r"\[/THINK\]", lone=True),
    Form(r"<\|START_THINKING\|>", r"<\|END_THINKING\|>", lone=True),
    Form("◁think▷", "◁/think▷", lone=True),
    Form(r"<\|channel>thought\b", r"<channel\|>", lone=True),
    Form(r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>", lone=True),
    Form(r"<\|inner_prefix\|>", r"<\|inner_suffix\|>", lone=True),
    # gpt-oss (harmony), with its control tokens and without them.
    Form(
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<\n]{0,80}(?:<\|constrain\|>\w+)?<\|message\|>",
        r"<\|(?:end|call|return)\|>|(?=<\|start\|>)|(?=<\|channel\|>)",
    ),
    Form(r"analysis(?=\S)", "assistantfinal", must_end=True),
    # Granite 3.2.
    Form(r"Here(?: is|'s) my thought process:", r"Here(?: is|'s) my response:", must_end=True),
)
WRAPPERS = (
    (r"<\|START_RESPONSE\|>", r"<\|END_RESPONSE\|>"),
    (r"(?:<\|start\|>assistant)?<\|channel\|>final[^<\n]{0,40}<\|message\|>", r"<\|(?:return|end)\|>"),
    (r"<\|begin_of_solution\|>", r"<\|end_of_solution\|>"),
)
"""What stands around the answer itself in some of the forms, with or without thinking."""
WRAPPERS_BEHIND_THINKING = ((r"<(answer|response|output)>", r"</(?:answer|response|output)>"),)
"""Tags that mean nothing of the kind in a reply without thinking (Hunyuan, ERNIE, Reflection)."""
_LONE_LINE = r"</\s*(?:thinking|thoughts?|reasoning)\s*>"


@dataclass(frozen=True, slots=True)
class _Known:
    """Forms, ready to be looked for: what begins each, and every mark of any."""

    forms: tuple[Form, ...]
    begins: tuple[re.Pattern[str], ...]
    tokens: re.Pattern[str]


@lru_cache(maxsize=64)
def _known(own: tuple[Form, ...] = ()) -> _Known:
    """Our forms behind those of a model's own."""
    forms = (*own, *FORMS)
    lone = "|".join(form.end.replace(r"\1", r"(?:(?:seed:|mm:)?think|longcat_think)") for form in forms if form.lone)
    begin = "|".join(
        re.sub(r"\((?!\?)", "(?:", one.begin) for one in forms if not one.must_end and "channel\\|>" not in one.begin
    )
    tokens = re.compile(
        r"(?P<fence>^[ \t]*```)|(?P<tick>`)|(?P<line>\n)"
        rf"|(?P<end>{lone})|(?P<line_end>{_LONE_LINE})|(?P<begin>{begin})",
        re.MULTILINE | re.IGNORECASE,
    )
    return _Known(forms, tuple(re.compile(rf"\s*(?:{form.begin})", re.IGNORECASE) for form in forms), tokens)


def own_form(begin: str, end: str) -> Form:
    """The form of a model that writes these texts around its thinking."""
    return Form(re.escape(begin), re.escape(end), lone=True)


def split_thinking(content: str, reasoning: str | None, own: tuple[Form, ...] = ()) -> tuple[str, str | None]:
    """Return (content, thinking) of an answer; thinking is None where there is none.

    Blocks of thinking at the start are split off, an unclosed one to the end (the answer was cut off, so the content
    is empty); so is all before an end that nothing opened. A mark in the middle of an answer, or quoted as code, is
    text.

    Args:
        content: The reply's text.
        reasoning: The field of its own in which the server sent the thinking, if it did; what the content repeats of
            it is left out.
        own: Forms of the model's own, beside ours.
    """
    answer, thoughts = _split(content, _known(own))
    if reasoning is None or not reasoning.strip():
        return answer, _joined(thoughts)
    new = [thought for thought in thoughts if thought.strip() and thought.strip() not in reasoning]
    return answer, _joined([reasoning, *new]) if new else reasoning


def with_thinking(content: str, thinking: str | None) -> str:
    """Return an answer with its thinking in front, as models write it; the answer where there is no thinking."""
    return f"{OPEN}\n{thinking}\n{CLOSE}\n\n{content}" if thinking else content


def begins_with_thinking(content: str) -> bool:
    """Return whether a reply says by itself where its thinking begins."""
    return any(begin.match(content) for begin in _known().begins)


def holds_end_of_thinking(text: str) -> bool:
    """Return whether a text holds a mark that ends thinking."""
    return any(found.lastgroup in ("end", "line_end") for found in _known().tokens.finditer(text))


def _split(content: str, known: _Known) -> tuple[str, list[str]]:
    """The answer without the marks around it, and the thoughts in front of it."""
    thoughts: list[str] = []
    start = 0
    while (block := _leading_block(content, start, known)) is not None:
        thought, start = block
        thoughts.append(thought)
    if not start:
        found = _lone_end(content, known)
        if found is None:
            return _unwrapped(content, WRAPPERS), []
        thoughts, start = [content[: found.start()]], found.end()
    return _unwrapped(content[start:].lstrip(), (*WRAPPERS, *WRAPPERS_BEHIND_THINKING)), thoughts


def _leading_block(content: str, start: int, known: _Known) -> tuple[str, int] | None:
    """The thought that begins at a place, blanks aside, and where what follows it begins; None where none does."""
    for form, begin in zip(known.forms, known.begins, strict=True):
        if (opened := begin.match(content, start)) is None:
            continue
        end = form.end.replace(r"\1", re.escape(opened[1])) if r"\1" in form.end else form.end
        closed = re.compile(end, re.IGNORECASE).search(content, opened.end())
        if closed is not None:
            return content[opened.end() : closed.start()], closed.end()
        if not form.must_end:
            return content[opened.end() :], len(content)
    return None


def _unwrapped(answer: str, wrappers: tuple[tuple[str, str], ...]) -> str:
    """An answer without a pair of marks around all of it; the last one may be missing."""
    for begin, end in wrappers:
        if (opened := re.match(rf"\s*(?:{begin})\s*", answer, re.IGNORECASE)) is not None:
            inner = answer[opened.end() :]
            closed = re.search(rf"\s*(?:{end})\s*\Z", inner[-200:], re.IGNORECASE)
            return inner[: len(inner) - len(closed[0])] if closed else inner
    return answer


def _joined(thoughts: list[str]) -> str | None:
    return "\n\n".join(text.strip() for text in thoughts if text.strip()) or None


def _lone_end(content: str, known: _Known) -> re.Match[str] | None:
    """The first end of thinking that neither a beginning precedes nor code quotes, if there is one."""
    for found, is_code in _marks(content, known):
        if found.lastgroup == "begin" and not is_code:
            return None
        if _alone(content, found) or (found.lastgroup == "end" and not is_code):
            return found if found.lastgroup != "begin" else None
    return None


def _marks(content: str, known: _Known) -> Iterator[tuple[re.Match[str], bool]]:
    """Every mark in a text, and whether it stands in code."""
    in_fence = in_ticks = False
    for found in known.tokens.finditer(content):
        if found.lastgroup == "line":
            in_ticks = False
        elif found.lastgroup == "tick":
            in_ticks = not in_ticks
        elif found.lastgroup == "fence":
            in_fence = not in_fence
        else:
            yield found, in_fence or in_ticks


def _alone(content: str, mark: re.Match[str]) -> bool:
    """Whether a mark is all that its line says: nobody quotes it so without having shown the beginning."""
    before = content[: mark.start()].endswith("\n") if mark.start() else True
    return before and content[mark.end() : mark.end() + 1] in ("", "\n", "\r")
