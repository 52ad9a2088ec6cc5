"""Find what a chat template or an undecoded tokenizer left in a text: control tokens, thinking tags, byte tokens.

Shared by the rules for prompts and those for answers. A text that quotes such marks, or is about them, holds.
"""

import re
from itertools import islice

from kasasagi.tasks.text.thoughts.mentions import NEAR, is_quoted, is_spoken_of
from kasasagi.tasks.text.thoughts.thinking_forms import SQUARE_NAMES, THINK_NAMES, WORD_NAMES

LOOKED_AT = 8000
ENOUGH_BYTE_TOKENS = 3
MOST_TOKENS = 1000
"""So many tokens of a text are looked at; a text that quotes as many holds."""
FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_ANGLE = (
    # ChatML, Llama 3, Phi, Command, Granite, PLaMo, K2, and one that is cut off; Gemma 4; DeepSeek.
    r"/?\|/?\w[\w:.|▁-]{1,60}\|>|\|(?:im_|end|eo[st]|start|assistant|user|system)\w*\|?\Z",
    r"\|(?:turn|channel|tool\w{0,20})>|(?:turn|channel|tool\w{0,20})\|>|/?｜{1,2}[^｜<>\n]{2,40}｜{1,2}>?",
    # Gemma, SmolVLM; Seed, MiniMax, LongCat, K2-Horizon; InternLM; StarCoder.
    r"/?(?:start|end|begin)_of_\w{2,20}>|/?(?:seed|mm|minimax|ifm|longcat)[:|_][\w|]{2,40}>|/?eo[ahmpc]>|fim_\w{3,10}>",
    # Gemma, Baichuan, T5, Nemotron, MiniCPM; Llama 2; GLM; PLaMo 1; padding.
    r"(?:unused|reserved_|extra_id_|extra_|SPECIAL_)\d+>|</?SYS>>|sop>|/?EOD>|(?i:bos|eos|pad|unk|sep)(?:_TOKEN)?>",
    r"(?<!.<)s>(?!.*</s>)|(?<!\w<)/s>\s*(?:<s>\s*)?\Z",
    rf"/?(?i:{THINK_NAMES})\s*>|(?i:{WORD_NAMES})>(?=\s*\n)|/(?i:{WORD_NAMES})>",
    # What begins or ends a whole answer: a thought, or the tag around an answer.
    rf"(?<!.<)(?i:{WORD_NAMES}|answer|response|output)>|/(?i:answer|response|output)>\s*\Z",
    r"/?final(?:_answer)?>|(?<!.<)(?i:analysis|reason|rationale)>(?!.*</\w)",
)
_SQUARE = (
    # Llama 2, Mistral, Magistral; EXAONE; MiniMax; InternLM; GLM; Apriel; BERT.
    r"/?INST\]|/?(?:AVAILABLE_TOOLS|TOOL_\w{4,8}|SYSTEM_PROMPT|MODEL_SETTINGS|THINK(?:ING)?)\]|\|/?\w{2,30}\|\]|e~\["
    r"|UNUSED_TOKEN_\d+\]|gMASK\]|(?:BEGIN|END) FINAL RESPONSE\]|(?:eos|EOS|BOS|PAD|UNK|CLS|SEP)\]"
    rf"|/(?:{SQUARE_NAMES})\]"
)
_ESCAPED = (
    rf"&lt;(?:/?(?i:{THINK_NAMES})\s*&gt;|/?\|\w{{2,40}}\|&gt;|(?i:{WORD_NAMES})&gt;(?=\s*\n)|/(?i:{WORD_NAMES})&gt;)"
)
_HARMONY = r"(?<![_-])assistant(?:final|analysis|commentary)(?![_.=(-])"
_TOKEN = re.compile(rf"<(?:{'|'.join(_ANGLE)})|\[(?:{_SQUARE})|\]~!?b[\[\]]|◁/?think▷|{_ESCAPED}|{_HARMONY}", re.DOTALL)
_BEGINS_TOKEN = re.compile(r"[<\[◁]|\]~|&lt;|assistant[acf]")
_ABOUT_TEMPLATES = re.compile(
    r"templates?\b|token|chatml|prompt format|delimiter|markup|\bxml\b|\bhtml\b|\btags?\b|stop (?:word|sequence|string)"
    r"|end[- ]of[- ](?:text|turn|sequence|message)|language model|\bllms?\b|llama|mis?tral|mixtral|qwen|gemma|vicuna"
    r"|alpaca|zephyr|exaone|deepseek|command[- ]r|granite|minimax|plamo|\bphi-?[1-4]|gpt-?(?:oss|2|j|neox)|\bglm\b"
    r"|\bt5\b|\bbert\b|apriel"
    r"|テンプレート|トークン|タグ|区切り文字|プロンプト形式|言語モデル",
    re.IGNORECASE,
)
_BLANKS_TO_THE_END = re.compile(r"\s*\Z")
_WORD_END = re.compile(rf"</((?i:{WORD_NAMES}))>")
_TAG_NAME = re.compile(r"<(?P<closes>/?)(?P<name>[a-z_]+)>")
_SENTENCE_END = re.compile(r"[.?!。？！]\s*\Z")
_PLAIN_THOUGHT = re.compile(
    r"\A\s*(?:thought[ \t]*\n"
    r"|(?:analysis|commentary)(?:(?=(?:We|I|The[ym]?|This|User|Let|Need|Okay|So|You|It|In|An?|Just|Should)\b)"
    r"|\s+(?=(?:We|I|Let's|Need|(?:The )?[Uu]ser)\b)))"
)
"""A channel of thinking (Gemma, gpt-oss) without its control tokens: where it ends cannot be seen."""
_QUOTED = re.compile(r"「[^」]*」|“[^”]*”|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|`[^`\n]*`")
_MAY_BE_BYTES = re.compile(r"[ĠĊ▁ãäåæçèé]|<0x")
_BYTE_TOKEN = re.compile(r"(?<=[^\W\d_])Ġ(?=\w)|Ċ|(?<=\S)▁(?=\w)|<0x[0-9A-F]{2}>|[ãäåæçèé][¡-¬®-¿\u0122-\u0143]{2}")
"""Pieces of GPT-2's and SentencePiece's vocabularies; the last is one kana or kanji as three bytes."""


def without_fences(text: str) -> str:
    """Return a text without its fenced code."""
    return FENCED.sub(" ", text) if "```" in text else text


def leaked_token(text: str, about: str = "") -> str | None:
    """Return the first control token of a chat template in a text's own words; None where there is none.

    Args:
        text: The text, without its code.
        about: Further words, such as the prompt of an answer; where they or the text speak of templates, or name the
            token, only one behind the end of the last sentence counts.
    """
    text = text.lstrip()
    if thought := _PLAIN_THOUGHT.match(text):
        return thought[0].strip()
    if _BEGINS_TOKEN.search(text) is None:
        return None
    quiet: bool | None = None
    for found in islice(_TOKEN.finditer(text), MOST_TOKENS):
        if quiet is None:
            quiet = _ABOUT_TEMPLATES.search(_TOKEN.sub(" ", f"{about}\n{text}")) is not None
        if _counts(text, found, quiet or found[0].strip() in about):
            return found[0].strip()
    return None


def _counts(text: str, found: re.Match[str], quiet: bool) -> bool:
    start, end = found.span()
    if _closes_element(text, found):
        return False
    if _BLANKS_TO_THE_END.match(text, end) and _SENTENCE_END.search(text[max(0, start - 80) : start]):
        return True
    if quiet or is_quoted(text, start, end):
        return False
    return not is_spoken_of(text, start, end) and not is_spoken_of(text, *_element_of(text, found))


def _element_of(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Return where the element that a token opens or closes begins and ends, if on one line; else the token's place."""
    start, end = found.span()
    if (name := _TAG_NAME.fullmatch(found[0])) is None:
        return start, end
    if name["closes"]:
        line = text[max(0, start - NEAR) : start].rpartition("\n")[2]
        opened = line.rfind(f"<{name['name']}>")
        return (start - len(line) + opened if opened >= 0 else start), end
    closing = f"</{name['name']}>"
    closed = text[end : end + NEAR].partition("\n")[0].find(closing)
    return start, (end + closed + len(closing) if closed >= 0 else end)


def _closes_element(text: str, found: re.Match[str]) -> bool:
    """Return whether a token is the end of an element of plain words, as in XML, whose beginning stands on the same
    line.
    """
    name = _WORD_END.fullmatch(found[0])
    line = text[max(0, found.start() - NEAR) : found.start()].rpartition("\n")[2]
    return name is not None and f"<{name[1]}>" in line


def undecoded(text: str) -> str | None:
    """Return a sample of a text whose tokens were not decoded, such as TheĠriverĠbends; None for another text."""
    if _MAY_BE_BYTES.search(text) is None:
        return None
    found = _BYTE_TOKEN.findall(_QUOTED.sub(" ", FENCED.sub(" ", text[:LOOKED_AT])))
    return text[:40] if len(found) >= ENOUGH_BYTE_TOKENS else None
