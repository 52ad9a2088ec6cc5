"""From what a model wrote to the instruction: the ends are trimmed, and nothing within is ever cut."""

import re

MARKS = r"<\|\w{2,40}\|>|<｜[^｜<>\n]{2,40}｜>|<(?:start|end)_of_turn>|</s>|</?EOD>|\[/INST\]"
_ENDING = re.compile(rf"(?:\s*(?:{MARKS})(?:\s*(?:user|assistant|model|system)(?=\s*(?:\Z|<)))?)+\s*\Z")
_BLANK_LINES = re.compile(r"\A(?:[ \t　]*\n)+")
_INDENT = re.compile(r"(?: {2}|\t)")


def instruction_of(text: str, multi_line: bool) -> str:
    """Return the instruction in a draw's text.

    A text of several lines keeps its tables, passages, code and indentation. Only blank lines at both ends are removed,
    and control tokens of a chat template at the end (an end of turn that the server did not cut off). If something
    inside is wrong, the filter's rules reject the whole text and never shorten it.
    """
    if not multi_line:
        return text.strip()
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    ended = _ENDING.sub("", plain).rstrip()
    # Behind a word a control token may be what the task is about.
    kept = _BLANK_LINES.sub("", ended if ended and not ended[-1].isalnum() else plain).rstrip()
    return kept if _INDENT.match(kept) else kept.lstrip()
