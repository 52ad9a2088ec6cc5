"""The polite words at the end of a response, such as "Let me know if you have any other questions!"."""

import re

MOST_CLOSINGS = 3
LONGEST = 160
_IF_YOU = (
    r"if\s+(?:you(?:'d|'ve|\s+(?:have|need|want|would|are|get|still|prefer|wish))"
    r"|there(?:'s|\s+is)\s+(?:anything|something)|anything|something|i\s+can)\b"
)
_CLOSING = re.compile(
    rf"""
    (?:please\s+|and\s+|just\s+)?(?:let\s+me\s+know|feel\s+free\s+to|(?:do\s+not|don't)\s+hesitate\s+to)\b.*
    |{_IF_YOU}.*\b(?:let\s+me\s+know|feel\s+free|ask|happy\s+to|glad\s+to|hesitate|here\s+to\s+help)\b.*
    |(?:would\s+you\s+like|do\s+you\s+(?:want|need|have)|is\s+there\s+anything|(?:i\s+)?hope\s+(?:this|that|it)\s+helps?)\b.*
    |(?:happy|glad)\s+to\s+help\b.*
    |.*(?:質問|ご不明|不明な点|お手伝い|お困り|お気軽|気軽|お役に立て|参考にな).*(?:ください|下さい|幸いです|嬉しいです|ですか|ますか|でしょうか|どうぞ)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_DOUBTS = re.compile(
    r"\d|\\|\b(?:wrong|mistake\w*|incorrect\w*|correct\w*|errors?|errata|check\w*|verif\w+|disagree\w*|instead|otherwise|differ\w*|(?<!do\s)not|doubt\w*"
    r"|re-?\w*(?:calculat|comput|consider|do|work)\w*|revis\w+|answers?|solutions?|results?|but|however|actually|should|option|choice)\b"
    r"|間違|誤|違|訂正|正し|確認|検算|答え?は|正解|しかし|ただし|[零一二三四五六七八九十]",
    re.IGNORECASE,
)
"""In such words: what may take the answer back or name another one."""
_LAST = re.compile(
    r"(?:\A|(?<=[.!?。！？:]\s)|(?<=[。！？])|\n)[\s*_>#-]*(?P<text>[^.!?。！？\n]+)[.!?。！？\s*_\U0001f300-\U0001faff☺❤]*\Z"
)


def without_closing(text: str) -> str:
    """Return a response without the polite sentences at its end, where they can say nothing about its answer."""
    for _ in range(MOST_CLOSINGS):
        tail = text[-2 * LONGEST :]
        last = _LAST.search(tail)
        if last is None or len(last["text"]) > LONGEST or not _is_closing(last["text"].strip()):
            return text
        if not (rest := text[: len(text) - len(tail) + last.start()].rstrip()):
            return text
        text = rest
    return text


def _is_closing(sentence: str) -> bool:
    return bool(_CLOSING.fullmatch(sentence)) and not _DOUBTS.search(sentence)
