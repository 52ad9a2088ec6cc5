"""Find a turn of a chat that a template or a base model wrote into a text: a role in front, or a further turn."""

import re
from collections import Counter
from itertools import islice

from kasasagi.tasks.text.leaks.paired_turns import has_headings

MOST_LABELS = 200
_USER = r"user|human|ユーザー?|用户|用戶"
_ASSISTANT = r"assistant|ai|bot|chatbot|アシスタント|助手"
_ASKED = r"you|q|question|質問"
_SPEAKERS = rf"{_ASSISTANT}|gpt|chatgpt|response"
_ANSWERED = r"a|answer|response|回答|答え|応答"
_LEADING = re.compile(
    r"\A\s*(?:(?P<bare>assistant|model|system|user)[ \t]*\n"
    rf"|(?P<label>(?:\*\*|\[|<)?(?:{_SPEAKERS})(?:\*\*|\]|>)?[ \t]*[:：](?:\*\*)?"
    r"(?=\s|[^\x00-\x7f]|(?-i:[A-Z])))"
    r"|(?P<heading>#{2,4} ?(?:response|assistant|応答|アシスタント)[ \t]*[:：]?[ \t]*\n|<assistant>"
    r"|\*\*assistant\*\*\s*\n))",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"\n#{2,4} ?(?:instruction|human|user|assistant|response|指示|応答|入力|ユーザー?|アシスタント)[ \t]*[:：]"
    r"|\n#{2,4} ?(?:instruction|human|user|指示|ユーザー?)[ \t]*\n"
    r"(?=(?:[^\n]*\n){0,40}?#{2,4} ?(?:response|assistant|応答)[ \t]*\n)",
    re.IGNORECASE,
)
_LABEL = re.compile(
    rf"\n[ \t]*(?:\*\*|\[|<)?(?:(?P<user>{_USER})|(?P<assistant>{_ASSISTANT})|(?P<asked>{_ASKED})"
    rf"|(?P<answered>{_ANSWERED}))(?:\*\*|\]|>)?[ \t]*[:：](?:\*\*)?[ \t]*(?P<said>[^\n]*)",
    re.IGNORECASE,
)
_QUESTION_FIRST = re.compile(r"\W*(?:q|question|質問)(?: ?\d+)?(?:\*\*|\])?[ \t]*[:：.]", re.IGNORECASE)
_BARE = re.compile(r"\n(?P<role>user|assistant|model)[ \t]*(?=\n+(?P<said>[^\n]+))")
_ANY_LABEL = re.compile(r"^[ \t]*\*{0,2}(?P<name>[^\W\d_][\w .'’-]{0,24}?)\*{0,2}[ \t]*[:：]", re.MULTILINE)
_ROLES = re.compile(rf"(?:{_USER}|{_ASSISTANT}|{_ASKED}|{_ANSWERED})\Z", re.IGNORECASE)
_ASSISTANT_ITSELF = re.compile(r"assistant|アシスタント", re.IGNORECASE)
_NOTE = re.compile(
    r"(?:notes?|tips?|hint|warning|caution|p\.?s|sources?|examples?|注意?|補足|例|参考|出典|ヒント)\Z", re.IGNORECASE
)
"""Labels that any answer may have."""
_GLUED = re.compile(
    r"[.?!。？！…\"'’”）)][ \t]*(?P<role>assistant|model|user)[ \t]*(?:\n+(?P<said>[^\n]*)|\Z)",
    re.IGNORECASE,
)
_ENDS = (".", "?", "!", "。", "？", "！")
_LAST_WORD = re.compile(r"\w+\Z")
_OBJECT = re.compile(
    r"(?:request|req|self|this|session|ctx|context|auth|app|current|event|message|data|obj|props|state|config|args"
    r"|params|res|response|user|account|db|models?|settings|env|torch|nn|keras|sklearn|django|api|\w*_\w*)\Z",
    re.IGNORECASE,
)


def glued_role(text: str) -> str | None:
    """Return a role that follows the end of a sentence without a break and ends its line; None where there is none."""
    if "ssistant" not in text and "user" not in text and "model" not in text:
        return None
    for found in _GLUED.finditer(text):
        at_end = found["said"] is None
        word = _LAST_WORD.search(text[max(0, found.start() - 40) : found.start()])
        is_item = word is not None and word[0].isdigit() and found[0][1] in " \t"
        attribute = found[0][0] == "." and word is not None and _OBJECT.match(word[0]) is not None
        if not attribute and not is_item and (not at_end or found["role"].lower() == "assistant"):
            return found["role"]
    return None


def leading_role(text: str, instruction: str = "") -> str | None:
    """Return the role of a template with which an answer begins; None where it begins with none."""
    found = _LEADING.match(text)
    if found is None or (found["bare"] and _is_defined(text[found.end() :], found["bare"])):
        return None
    if found["label"] and _is_one_of_several(text, found):
        return None
    word = re.sub(r"[^\w]", "", found[0])
    return None if found["label"] and word.lower() in instruction.lower() else found[0].strip()


def _is_one_of_several(text: str, leading: re.Match[str]) -> bool:
    """Return whether labels of other names follow a leading one, as in a list of definitions; an assistant's needs a
    whole script.
    """
    if _ASSISTANT_ITSELF.search(leading["label"]):
        return _is_script(text)
    names = (found["name"] for found in _ANY_LABEL.finditer(text, leading.end()))
    return any(not _ROLES.match(name) and not _NOTE.match(name) for name in names)


def _is_defined(rest: str, name: str) -> bool:
    """Return whether a lone word is a heading whose text explains it, or one of several such headings."""
    first = " ".join(rest.split()[:3]).lower()
    return re.search(rf"\b{re.escape(name.lower())}", first) is not None or has_headings(rest)


def next_turn(text: str, asks_for_questions: bool = False) -> str | None:
    """Return the beginning of a turn that follows an answer; None where there is none.

    A line that an earlier one announces, a definition, a field of a form, and a script with further speakers hold.

    Args:
        text: The answer, without its code.
        asks_for_questions: Whether pairs of a question and an answer may be what was asked for.
    """
    if heading := _HEADING.search(text):
        return heading[0].strip()
    if ":" in text or "：" in text:
        found = islice(_LABEL.finditer(text), MOST_LABELS)
        labels = _without_questions(text, list(found), asks_for_questions)
        if labels and not _is_script(text):
            turns = (label for at, label in enumerate(labels) if _opens(text, label, labels[at + 1 :]))
            if (turn := next(turns, None)) is not None:
                return turn[0].strip()
    return bare_turn(text)


def _without_questions(text: str, labels: list[re.Match[str]], asked_for: bool) -> list[re.Match[str]]:
    """Return labels without those of questions where a text is a list of these: as wanted, begun so, or announced."""
    first = next((label for label in labels if label["asked"]), None)
    before = text[: first.start()].rstrip() if first else ""
    if asked_for or _QUESTION_FIRST.match(text) or before.endswith((":", "：")):
        return [label for label in labels if not label["asked"]]
    return labels


def bare_turn(text: str, behind_a_sentence: bool = False) -> str | None:
    """Return a role alone on its line and what follows it, where it heads a turn; None where none does.

    Args:
        text: The text, without its code.
        behind_a_sentence: Whether the line before must end as a sentence does; then a single word may follow.
    """
    for bare in islice(_BARE.finditer(text), MOST_LABELS):
        words = bare["said"].strip()
        before = text[max(0, bare.start() - 400) : bare.start()].rstrip().rpartition("\n")[2].strip()
        ends = before.endswith(_ENDS)
        if (behind_a_sentence and not ends) or not words or _is_defined(words, bare["role"]):
            continue
        if _is_turn(before, words, short=behind_a_sentence) and not has_headings(text):
            return f"{bare['role']}\n{words}"
    return None


def _is_turn(before: str, words: str, short: bool) -> bool:
    """Return whether a lone role between two lines heads a turn, and is not an item of a list."""
    is_item = re.fullmatch(r"[a-z]+", before) is not None
    begins = words[0].isupper() or not words[0].isascii() or words.endswith("?")
    return not is_item and begins and (short or _is_sentence(words))


def _opens(text: str, label: re.Match[str], later: list[re.Match[str]]) -> bool:
    """Return whether a label opens a turn of the user: a question, a sentence, or one that an assistant's label
    follows.
    """
    before = text[max(0, label.start() - 400) : label.start()]
    if not before.strip() or before.rstrip().endswith((":", "：")):
        return False
    kinds = {_kind(one) for one in later}
    words = _said(text, label)
    is_question = words.endswith(("?", "？"))
    if _kind(label) == "asked":
        return is_question and bool(kinds & {"answered", "assistant"})
    if _kind(label) == "user" and (is_question or "assistant" in kinds):
        return True
    alone = before.endswith("\n") or not _has_neighbour(text, label)
    return _heads_turns(label) and alone and (not words or (_is_sentence(words) and not words[0].islower()))


def _said(text: str, label: re.Match[str]) -> str:
    """Return what stands behind a label, on its line or on the next one."""
    return (label["said"].strip() or text[label.end() : label.end() + 400].strip().partition("\n")[0]).strip()


def _heads_turns(label: re.Match[str]) -> bool:
    return _kind(label) == "user" or (label["assistant"] or "").lower() in {"assistant", "アシスタント"}


def _kind(label: re.Match[str]) -> str:
    return next(kind for kind in ("user", "assistant", "asked", "answered") if label[kind])


def _has_neighbour(text: str, label: re.Match[str]) -> bool:
    """Return whether the line before or behind a label has a label of its own, as in a list of definitions."""
    above = text[max(0, label.start() - 400) : label.start()].rpartition("\n")[2]
    below = text[label.end() : label.end() + 400].lstrip("\n").partition("\n")[0]
    return any(_ANY_LABEL.match(line) for line in (above, below))


def _is_sentence(words: str) -> bool:
    words = words.strip()
    ends = words.endswith((".", "?", "!", "。", "？", "！", "…"))
    return len(words.split()) >= 4 or (ends and len(words.split()) >= 2) or (not words.isascii() and len(words) >= 8)


def _is_script(text: str) -> bool:
    """Return whether speakers other than the roles of a chat speak more than once."""
    names = Counter(found["name"] for found in _ANY_LABEL.finditer(text) if not _ROLES.match(found["name"]))
    return any(times > 1 for times in names.values())
