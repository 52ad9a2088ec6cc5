"""Find what a chat template or an undecoded tokenizer left in a text: control tokens, roles, tool calls, byte tokens.

Shared by the rules for prompts and those for answers. A text that quotes such marks, or is about them, holds.
"""

import re

LOOKED_AT = 8000
ENOUGH_BYTE_TOKENS = 3
FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_QUOTED = re.compile(r"「[^」]*」|“[^”]*”|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|`[^`\n]*`")
_TOKEN = re.compile(
    # ChatML, Llama 3, Phi, Command, Granite, EXAONE; DeepSeek; Gemma to 3; Gemma 4; Llama 2 and Mistral; padding.
    r"<\|\w{2,40}\|>|<｜[^｜<>\n]{2,40}｜>|<(?:start|end)_of_turn>|<\|(?:turn|channel|tool\w{0,20})>"
    r"|<(?:turn|channel|tool\w{0,20})\|>|</?EOD>|\[/?INST\]|<</?SYS>>|\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|<end_of_(?:utterance|sentence|text)>|<(?:bos|eos|pad|unk)>|◁/?think▷"
    r"|\A\s*<s>(?!.*</s>)|(?<!\w)</s>\s*(?:<s>\s*)?\Z",
    re.DOTALL,
)
_ABOUT_TEMPLATES = re.compile(
    r"templates?\b|special token|token|chatml|prompt format|delimiter|markup"
    r"|テンプレート|トークン|区切り文字|プロンプト形式",
    re.IGNORECASE,
)
_GLUED_ROLE = re.compile(r"[.?!。？！…\"'’”）)][ \t]*(?P<role>assistant|model|user)[ \t]*\n", re.IGNORECASE)
_TOOL_CALL = re.compile(
    r"\A\s*(?P<mark><tool_call>|<function(?:=|_call\b)|\[TOOL_CALLS\]|<\|tool_calls?_(?:section_)?begin\|>|<｜tool▁calls?▁begin｜>"
    r"|<\|python_tag\|>|functools\[|\{\s*\"(?:name|function)\"\s*:\s*\"[\w.:-]{1,80}\"\s*,\s*\"(?:arguments|parameters)\"\s*:)"
)
_BYTE_TOKEN = re.compile(r"(?<=[^\W\d_])Ġ(?=\w)|Ċ|(?<=\S)▁(?=\w)|<0x[0-9A-F]{2}>")


def leaked_token(text: str, about: str = "") -> str | None:
    """Return the first control token of a chat template in a text's own words; None where there is none.

    Args:
        text: The text, without its code.
        about: Further words, such as the prompt of an answer; where they or the text speak of templates, only a token
            behind the end of the last sentence counts.
    """
    own = _QUOTED.sub(" ", text)
    quiet = _ABOUT_TEMPLATES.search(_TOKEN.sub(" ", f"{about}\n{text}")) is not None
    for found in _TOKEN.finditer(own):
        at_the_end = not own[found.end() :].strip() and re.search(r"[.?!。？！]\s*\Z", own[: found.start()])
        if not quiet or at_the_end:
            return found[0].strip()
    return None


def glued_role(text: str) -> str | None:
    """Return a role that follows the end of a sentence without a break and ends its line; None where there is none."""
    found = _GLUED_ROLE.search(text)
    return found["role"] if found else None


def tool_call(text: str) -> str | None:
    """Return the beginning of a text that is a call of a tool and no words; None for another text."""
    found = _TOOL_CALL.match(text)
    return found["mark"][:40] if found else None


def undecoded(text: str) -> str | None:
    """Return a sample of a text whose tokens were not decoded, such as TheĠriverĠbends; None for another text."""
    found = _BYTE_TOKEN.findall(_QUOTED.sub(" ", FENCED.sub(" ", text[:LOOKED_AT])))
    return text[:40] if len(found) >= ENOUGH_BYTE_TOKENS else None
