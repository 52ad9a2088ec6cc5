"""Find a user's turn that an assistant's follows, wherever both roles are marked alike.

The two together are a turn whatever they say: alone on their lines, in brackets or as tags, or within a line.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from kasasagi.tasks.text.thoughts.mentions import is_quoted

MOST_ROLES = 200
NEAR = 400
_USER = r"user|human|ユーザー?|用户|用戶"
_ASSISTANT = r"assistant|model|アシスタント|助手"
_BARE = re.compile(rf"\n[ \t]*(?:(?P<user>{_USER})|(?P<assistant>{_ASSISTANT}))[ \t]*(?=\n|\Z)")
_BRACKETED = re.compile(
    r"\n[ \t]*(?:\[(?:(?P<user>user|human)|(?P<assistant>assistant|ai|bot))\]"
    r"|<(?:(?P<user_tag>user|human)|(?P<assistant_tag>assistant|ai|bot))>)",
    re.IGNORECASE,
)
_INLINE = re.compile(
    rf"(?<=[.?!…)\"'”’*。？！」）])[ \t]*(?P<user>USER|User|HUMAN|Human|{_USER})[ \t]*[:：][ \t]*(?=\S)"
    r"|(?<!\w)(?P<assistant>ASSISTANT|Assistant|AI)[ \t]*[:：][ \t]*(?=\S)"
    r"|(?P<assistant_ja>アシスタント|助手)[ \t]*[:：][ \t]*(?=\S)"
)
_OPENCHAT = re.compile(r"GPT-?4 (?:Correct )?(?:User|Assistant)[ \t]*:")
_OWN_ELEMENT = re.compile(
    r"</?(?!(?:user|human|assistant|ai|bot|system)>)[A-Za-z][\w-]{0,30}(?:\s[^<>\n]{0,80})?>", re.I
)
_ITEM = re.compile(r"[-*•\d.)( \t]{0,6}[a-z_]+")
_HEADING = re.compile(
    r"(?<!user)(?<!human)(?<!assistant)(?<!model)\n[ \t]*\n(?!(?:user|human|assistant|model)\b)[a-z]+[ \t]*\n\S"
)
_DEFINES = re.compile(r"(?:[a-z]|(?:The|An?|One|Any(?:one|body)?|Some(?:one|body)|Who(?:ever)?)\b)")


def paired_turn(text: str) -> str | None:
    """Return the role that opens a user's turn which an assistant's follows; None where there is none.

    Args:
        text: The text, without its code.
    """
    return _openchat(text) or _bare(text) or _bracketed(text) or _inline(text)


def _openchat(text: str) -> str | None:
    found = _OPENCHAT.search(text) if "GPT" in text else None
    return found[0] if found and not is_quoted(text, found.start(), found.end()) else None


def _pairs(pattern: re.Pattern[str], text: str) -> Iterator[tuple[re.Match[str], re.Match[str], str]]:
    """Yield each role of a user, the assistant's next to it, and what the user says between."""
    for first, second in pairwise(islice(pattern.finditer(text), MOST_ROLES)):
        words = text[first.end() : second.start()].strip()
        if words and "user" in str(first.lastgroup) and "assistant" in str(second.lastgroup):
            yield first, second, words


def _bare(text: str) -> str | None:
    if "\n" not in text:
        return None
    for user, assistant, words in _pairs(_BARE, text):
        before = text[max(0, user.start() - NEAR) : user.start()].rstrip().rpartition("\n")[2].strip()
        answered = text[assistant.end() : assistant.end() + NEAR].strip().partition("\n")[0]
        lines = [*words.split("\n"), answered]
        listed = all(_ITEM.fullmatch(line.strip()) for line in lines if line.strip())
        if not _announces(before) and not _ITEM.fullmatch(before) and not listed and not _are_headings(text, lines):
            return user["user"] + "\n" + words.partition("\n")[0]
    return None


def _announces(before: str) -> bool:
    return not before or before.endswith((":", "："))


def _are_headings(text: str, lines: Sequence[str]) -> bool:
    """Return whether further lone words head parts of a text, or what follows the roles explains them."""
    first = " ".join(lines[0].split()[:3]).lower()
    return has_headings(text) or re.search(r"\b(?:users?|human)\b", first) is not None


def has_headings(text: str) -> bool:
    """Return whether lone words other than the roles of a chat head parts of a text."""
    return _HEADING.search(text) is not None


def _bracketed(text: str) -> str | None:
    if "]" not in text and ">" not in text:
        return None
    for user, _, words in _pairs(_BRACKETED, text):
        before = text[max(0, user.start() - NEAR) : user.start()].rstrip()
        if not _announces(before[-1:]):
            return f"{user[0].strip()} {words}"
    return _element(text)


def _element(text: str) -> str | None:
    """Return a user's turn in an element of its own, where a text has no other elements."""
    found = re.search(r"[.?!。？！…][ \t]*\n\s*<(user|human)>[^<]+</\1>", text, re.IGNORECASE) if "</" in text else None
    if found is None or _OWN_ELEMENT.search(text):
        return None
    return found[0][1:].strip()


def _inline(text: str) -> str | None:
    if ":" not in text and "：" not in text:
        return None
    for user, assistant, words in _pairs(_INLINE, text):
        quoted = any(is_quoted(text, role.start(), role.end()) for role in (user, assistant))
        shouted = user[0].isascii() and user[0].isupper()
        if not quoted and (shouted or words.endswith(("?", "？")) or not _DEFINES.match(words)):
            return f"{user[0].strip()} {words}"
    return None
