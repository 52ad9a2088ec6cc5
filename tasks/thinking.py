"""What a thinking model thought, apart from what it answered."""

import re

OPEN, CLOSE = "<think>", "</think>"
_TOKENS = re.compile(r"^[ \t]*```|`|\n|</?think>", re.MULTILINE)


def split_thinking(content: str, reasoning: str | None) -> tuple[str, str | None]:
    """(content, thinking) of an answer; thinking is None where there is none.

    A reasoning field that says something is taken as it is, and the content with it. Else `<think>` blocks at the
    start are thinking, an unclosed one to the end (the answer was cut off, so the content is empty); so is all before
    a `</think>` that nothing opened (the chat template opened it). A tag in the middle of an answer, or quoted as
    code, is text.
    """
    if reasoning is not None and reasoning.strip():
        return content, reasoning
    if content.lstrip().startswith(OPEN):
        return _leading_blocks(content)
    end = _lone_close(content)
    if end is None:
        return content, None
    return content[end:].lstrip(), _joined([content[: end - len(CLOSE)]])


def with_thinking(content: str, thinking: str | None) -> str:
    """An answer with its thinking in front, as models write it that think aloud; the answer where there is none."""
    return f"{OPEN}\n{thinking}\n{CLOSE}\n\n{content}" if thinking else content


def _leading_blocks(content: str) -> tuple[str, str | None]:
    thoughts: list[str] = []
    start = _skip_blanks(content, 0)
    while content.startswith(OPEN, start):
        close = content.find(CLOSE, start)
        if close < 0:
            return "", _joined([*thoughts, content[start + len(OPEN) :]])
        thoughts.append(content[start + len(OPEN) : close])
        start = _skip_blanks(content, close + len(CLOSE))
    return content[start:], _joined(thoughts)


def _skip_blanks(content: str, start: int) -> int:
    while start < len(content) and content[start].isspace():
        start += 1
    return start


def _joined(thoughts: list[str]) -> str | None:
    return "\n\n".join(text.strip() for text in thoughts if text.strip()) or None


def _lone_close(content: str) -> int | None:
    """Where the first `</think>` ends that neither an opening tag precedes nor code quotes, if there is one."""
    in_fence = in_ticks = False
    for token in _TOKENS.finditer(content):
        tag = token[0]
        if tag == "\n":
            in_ticks = False
        elif tag == "`":
            in_ticks = not in_ticks
        elif tag.endswith("```"):
            in_fence = not in_fence
        elif tag == CLOSE and (_alone(content, token) or not (in_fence or in_ticks)):
            return token.end()
        elif tag == OPEN and not (in_fence or in_ticks):
            return None
    return None


def _alone(content: str, token: re.Match[str]) -> bool:
    """Whether a tag is all that its line says: nobody quotes it so without having shown the opening one."""
    before = content[: token.start()].endswith("\n") if token.start() else True
    return before and content[token.end() : token.end() + 1] in ("", "\n", "\r")
