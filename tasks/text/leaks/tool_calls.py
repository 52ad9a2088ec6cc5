"""Find a call of a tool that a model wrote as text: tags, JSON, a block of tool code, or an action of an agent."""

import re
from itertools import islice

from kasasagi.tasks.text.thoughts.mentions import is_quoted, is_spoken_of

MOST_TAGS = 1000
LONGEST_LEAD = 300
"""The longest text before a fenced call that is all that an answer shows."""
ASKS_FOR_CALLS = re.compile(
    r"json|function|\btools?\b|\bapi\b|\bcall(?:s|ing)?\b|\brpc\b|\bagents?\b|schema|\breact\b|関数|ツール|呼び出|エージェント",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"</?(?:tools|tool_calls?|tool_use|tool_response|tool_code|function_calls?|use_mcp_tool|execute_\w{2,20}|longcat_tool_call)>"
    r"|<(?:seed|minimax):tool_call>|<function=[\w.:-]{1,80}>|<(?:\w{2,12}:)?function_call\b|<invoke name="
    r"|<\|tool_calls?_(?:section_)?begin\|>|<｜tool▁calls?▁begin｜>|<\|python_tag\|>|</?｜{1,2}DSML｜{1,2}|\[TOOL_CALLS\]"
    r"|(?:(?:assistant)?(?:commentary|analysis)[ \t]+)?\bto=functions\.\w"
    r"|(?:assistant)?(?:commentary|analysis)[ \t]+to=\w"
)
_NAME = r"\"(?:name|function|function_name|tool|tool_name|action)\"\s*:\s*\"[\w.:/ -]{1,80}\""
_ARGUMENTS = r"\"(?:arguments|parameters|params|args|kwargs|input|tool_input|action_input)\"\s*:"
_JSON = (
    rf"\[?\s{{0,20}}\{{\s*(?:{_NAME}\s*,\s*{_ARGUMENTS}|\"arguments\"\s*:|\"(?:tool_calls|function_call|tool_call)\"\s*:"
    r"|\"type\"\s*:\s*\"(?:function|tool_use|tool_call)\"\s*,\s*\"(?:id|name)\"\s*:\s*\""
    r"|\"type\"\s*:\s*\"function\"\s*,\s*\"function\"\s*:\s*\{[^{}]{0,200}\"arguments\"|\"(?:id|call_id)\"\s*:\s*\"call_)"
)
_PLAIN = re.compile(
    rf"^ {{0,3}}(?:{_JSON}|functools\[|\[\w+\(\w+=[^\n]*\)\]\s*\Z"
    r"|Action:[ \t]*\S[^\n]{0,80}\n+Action Input:|Thought:[^\n]*\n+Action:)",
    re.MULTILINE,
)
_SHOWN = re.compile(
    r"\b(?:this|these|that|here|below|above|following|snippet|output|log|wrong|mean|error)\b|[<>]|次の|以下|上の|この|これ|出力",
    re.IGNORECASE,
)
"""What a prompt says of material that it shows on its further lines."""
_FENCED_CALL = re.compile(rf"```(?:tool_code|tool_call)\b|```\w*[ \t]*\n\s*(?:{_JSON})")


def tool_call(content: str, plain: str) -> str | None:
    """Return the beginning of a call of a tool that stands in an answer as text; None where there is none.

    Args:
        content: The answer.
        plain: The answer without its fenced code.
    """
    found = _unquoted_tag(plain) or (_PLAIN.search(plain) if ":" in plain or "[" in plain else None)
    if found is None and "```" in content[: LONGEST_LEAD + 3]:
        found = _FENCED_CALL.search(content, 0, 2 * LONGEST_LEAD)
        if found is not None and not _is_all(content, found):
            return None
    return " ".join(found[0].split())[:40] if found else None


def call_behind(prompt: str) -> str | None:
    """Return the tag of a call that a model wrote behind a prompt; None where there is none, or a prompt shows it."""
    found = _unquoted_tag(prompt)
    before = prompt[: found.start()] if found else ""
    if found is None or not before.rstrip().endswith((".", "?", "!", "。", "？", "！")):
        return None
    if before == before.rstrip():
        return found[0]
    shown = before.rstrip()[-1] not in "?？" or ASKS_FOR_CALLS.search(before) or _SHOWN.search(before)
    return None if shown else found[0]


def _unquoted_tag(plain: str) -> re.Match[str] | None:
    may_be = "<" in plain or "[" in plain or "to=" in plain
    for found in islice(_TAG.finditer(plain), MOST_TAGS) if may_be else ():
        place = (plain, found.start(), found.end())
        if not is_spoken_of(*place) and not is_quoted(*place):
            return found
    return None


def _is_all(content: str, block: re.Match[str]) -> bool:
    """Return whether a fenced block is all that an answer shows, some words before it aside."""
    closed = content.find("```", block.end())
    return block.start() <= LONGEST_LEAD and (closed < 0 or not content[closed + 3 :].strip())
