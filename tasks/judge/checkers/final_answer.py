"""The final answer of a response: what it puts into a box, behind "the answer is", or says as a whole."""

import re
from dataclasses import dataclass
from typing import Literal

from kasasagi.tasks.judge.checkers.boxes import Box, boxes_in
from kasasagi.tasks.judge.checkers.closings import without_closing
from kasasagi.tasks.judge.checkers.plain import plain

LONGEST_BARE = 120
LONGEST_STATEMENT = 400
MOST_CHARS = 20_000
MOST_STATEMENTS = 20
"""Of marks the last so many are read."""
BEFORE = 400
StatementPlace = Literal["boxed", "marked", "whole", "conclusion"]


@dataclass(frozen=True, slots=True)
class Statement:
    """An answer that a response states, with the sentence that contains it."""

    text: str
    place: StatementPlace
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Statements:
    """All that a response says as its answer: the last one counts, and the others must not contradict it.

    Attributes:
        final: The statement that counts; None where nothing can be taken for one.
        others: Further statements that must say the same.
        problem: Why no statement can be trusted, if so.
        before: The text before the final statement.
        behind: The text behind it, which may bring up another answer.
    """

    final: Statement | None = None
    others: tuple[Statement, ...] = ()
    problem: str = ""
    before: str = ""
    behind: str = ""


_ELEMENT = re.compile(r"<(?:final_?)?answer>([^<]{1,400})</(?:final_?)?answer>", re.IGNORECASE)
"""What reasoning models are often asked to put their answer into."""
_HASHES = re.compile(r"^####\s+(\S.*)$", re.MULTILINE)
_MARK = re.compile(
    r"""
    (?:\b(?:final|correct|right|best)\s+)?\banswers?\b(?:\s+(?:choice|option))?
        (?:\s+(?:to|for)\s+[^.:=?!\n]{1,60}?)?
        (?:\s*(?:\bis\b|\bare\b|\bwould\s+be\b|\bmust\s+be\b|\bshould\s+be\b|'s\b)\s*:?|\s*[:=])
    |^[#>\s]*(?:the\s+)?(?:final\s+)?answer\s*[:：\-–—]?\s*$
    |\b(?:correct|right|best)\s+(?:choice|option)\s+(?:is|would\s+be)\s*:?
    |(?:答え|答|解答|回答|正解|結論)(?:\]|】|\)|」)?\s*(?:は|が|:|=)\s*[、,:]?
    |[\[【「(<〈](?:最終)?(?:答え|答|解答|回答|正解)[\]】」)>〉]
    |(?<=\S)[ \t]+(?:答え|答)[ \t]*(?=[-$¥\d(])|^[ \t]*答え(?=\d)
    |^[#>\s]*(?:final\s+)?answer\s+(?=[-$\d(])
    |^[#>\s]*(?:答え|答|解答)[ \t]+(?=[-$¥\d(])
    |^[#>\s]*(?:最終)?(?:答え|解答|回答|正解)\s*$
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_NOT_OURS = re.compile(
    r"(?:\b(?:wrong|incorrect|common|student'?s?|your|his|her|their|naive|previous|earlier|first|tempting|another|other"
    r"|[a-z]+['’]s|possible|sample|expected|alternative|initial|partial|intermediate|preliminary|interim|tentative|model'?s?|no|any|an|each|whose)\s+(?:final\s+)?\Z"
    r"|(?:間違った|誤った|誤|不|別の|他の|よくある|最初の|仮の|生徒の|学生の|あなたの|彼の|彼女の|次の|以前の|模範|の)\Z)",
    re.IGNORECASE,
)
HEDGES = re.compile(
    r"\?\Z|\b(?:or|either|neither|nor|maybe|perhaps|possibly|might|may|could|not|isn't|aren't|wasn't|can't|cannot|doesn't|don't"
    r"|wouldn't|unless|if|otherwise|depending|depends|unsure|uncertain|guess|between|except|instead|rather|versus|vs"
    r"|unknown|impossible|both|would\s+have\s+been|answers?\s+(?:was|were)|but|although|though|supposed|why|how|whether|says|said|claims|claimed"
    r"|(?:some|others?|people|many|every(?:one|body)|someone|he|she|they|student|you)\s+(?:said|says?|thinks?|thought|claims?|believes?|argues?|gets?|got))\b"
    r"|ではない|ではあり|ではなく|じゃない|でない|とは限ら|以外|または|もしくは|あるいは|それとも|もし|場合|なら|かもしれ"
    r"|おそらく|多分|たぶん|不明|わから|分から|間違|誤り|両方|自信|確信|理由|なぜ|どうして|かどうか|のどちら|[はがも]ない|だが|ですが|けど",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"(?:\A|[。.!?\n])\s*(?:いえ|あ|ああ)[、,]|でした|と思いま|strike\s+that|make\s+that|i\s+mean\b|on\s+(?:reflection|second)"
    r"|can(?:not|'t)\s+be\s+(?:right|correct)|contradict|in\s+fact\b|\bedit\b|revised|corrected|\bnow\s+say\b|正確には|実は|正しくは|最終的には"
    r"|chang(?:e|ing)\s+my\s+(?:mind|answer)|(?:does|do|did)(?:\s+not|n't)\s+(?:match|fit|work|hold|add)"
    r"|\b(?:wait|hold\s+on|correction|hmm|oops|sorry|apologi[sz]e|on\s+second\s+thought|alternatively|unless|depending|no,"
    r"|my\s+(?:mistake|error|bad)|i\s+(?:made|was|am|misread|miscounted|miscalculated|forgot)|(?:is|was)\s+a\s+mistake"
    r"|let\s+me|let's\s+(?:re|double|check)\w*|re-?check|actually|another\s+(?:possible\s+|valid\s+)?answer|scratch\s+that"
    r"|(?:that|this|it)(?:'s|\s+is|\s+was)\s+(?:not\s+right|not\s+correct|wrong|incorrect)"
    r"|(?:however|but),?\s+(?:if|when|the|it|this|that|some|one|we|i)\b|some\s+(?:might|may|would|say)"
    r"|if\s[^.\n]{1,80}\banswer|answer\s+(?:could|might|may|would|can)|could\s+also|might\s+also|may\s+also)"
    r"|訂正|間違え|間違いで|いや[、,]|すみません|申し訳|待って|別解|見直|もう一度|再計算|ただし|とも考え|かもしれ|もし|しかし、?もし"
    r"|または\s*\\?(?:boxed|答)|誤りで",
    re.IGNORECASE,
)
_DENIES = re.compile(
    r"\btoo\s+(?:small|large|big|high|low|many|few)\b|\b(?:wrong|incorrect|false|mistaken?|fails?|failed|contradict\w*|never|hardly|denies|deny"
    r"|doubts?|reject\w*|refute\w*|disagree\w*|unlikely|nobody|no\s+one|no\s+way|un?true|first\s+glance|initially|according\s+to)\b"
    r"|[✗✘❌🚫👎]|違い|違う|異な|によれば|によると|一見|最初は",
    re.IGNORECASE,
)
"""Beside an answer, not in it: what denies it or says that it is somebody else's."""
_CLAIM = re.compile(r"\b(?:that|say|saying|claims?|think|thinks|thought)\s+(?:the|my|its|our|\s)*\Z", re.IGNORECASE)
_TRUSTED_CLAIM = re.compile(
    r"\b(?:means?|meaning|shows?|follows?|conclude|find|found|get|see|so|know|gives?|tells\s+us|impl(?:y|ies|ying)|confident|sure|clear"
    r"|obtain|deduce|determined?|note|confirms?|verif(?:y|ies)|given|i\s+(?:would\s+)?(?:say|think|believe)|believe|such|therefore|having)\s+(?:that\s+)?"
    r"(?:the|my|its|our|\s)*\Z",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"^(?:so|therefore|thus|hence|in\s+total|altogether|in\s+conclusion|consequently|finally|∴|したがって|従って|よって|ゆえに"
    r"|故に|だから|つまり|以上(?:より|から)|合計|全部で|結局)",
    re.IGNORECASE,
)
_REPLACES = re.compile(
    r"^(?:(?:the\s+)?(?:final|total|result|sum|solution)\b[\w\s]{0,20}(?:[:=]|\bis\b)|no\s*[:,]|(?:最終|合計|結果|正解)\w{0,6}(?:は|[:=]))",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"^(?:because|since|as\b|this\s+is\s+because|note|for\s+example|check|verif)"
    r"|(?:から|ため|ので)(?:です|だ|である)?$|^(?:なぜなら|例えば|検算|確認)",
    re.IGNORECASE,
)
_BECAUSE = re.compile(r"[,;]?\s*\b(?:because|since|as(?!\s+well))\b.*\Z", re.IGNORECASE | re.DOTALL)
_END = re.compile(r"(?<!approx)(?<!\b[A-J])\.(?=\s|\Z)|[。！？]|[!?](?=\s|\Z)|\n")


def statements(answer: str) -> Statements:
    """Return what a response says as its answer."""
    if len(answer) > MOST_CHARS:
        return Statements(problem=f"the response is longer than the {MOST_CHARS:,} characters that are read")
    found = _statements(without_closing(plain(_ELEMENT.sub(r"\nAnswer: \1\n", answer)).strip()))
    if any(len(one.text) > LONGEST_STATEMENT for one in (found.final, *found.others) if one is not None):
        return Statements(problem="what the response states as its answer is no short answer")
    return found


def _statements(text: str) -> Statements:
    if boxes := boxes_in(text):
        return _of_boxes(text, boxes)
    if marked := _marked(text):
        return _of_marked(text, marked)
    return _unmarked(text)


def is_taken_back(text: str) -> bool:
    """Return whether the words behind an answer take it back or name another case."""
    return bool(_TAKEN_BACK.search(text))


def conclusions_in(behind: str) -> list[str]:
    """Return the sentences behind an answer that conclude or replace something: they must say the same."""
    return [one for one in sentences_of(behind) if _CONCLUDES.search(one) or _REPLACES.search(one)]


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text, lines of their own among them."""
    return [part.strip() for part in _END.split(text) if part and part.strip()]


def _of_boxes(text: str, boxes: list[Box]) -> Statements:
    """Return what the last box states; what stands in its paragraph or behind it must agree."""
    last = boxes[-1]
    behind = text[last.end :]
    if _TAKEN_BACK.search(_CODE_AND_BOX.sub(" ", behind)):
        return Statements(problem="something behind the box takes it back or names another case")
    opening = text.rfind("\n\n", 0, last.start) + 1
    beside = [one for one in boxes[:-1] if one.start >= opening]
    if problem := next((one.problem for one in [last, *beside] if one.problem), ""):
        return Statements(problem=problem)
    sentence = _sentence_around(text, last.start, last.end)
    around = sentence.replace(text[last.start : last.end], " ") + ("?" if re.match(r"[\s$*)]*\?", behind) else "")
    if HEDGES.search(around) or _DENIES.search(around) or _is_not_ours(around):
        return Statements(problem=f"the sentence around the box hedges or denies: {sentence[:80]}")
    others = [Statement(one.text, "boxed") for one in beside]
    others += [one for _, one in _marked(behind)]
    return Statements(Statement(last.text, "boxed", sentence), tuple(others), before=text[: last.start], behind=behind)


def _is_not_ours(sentence: str) -> bool:
    """Return whether a sentence names the answer of somebody else."""
    return any(_NOT_OURS.search(sentence[: mark.start()]) for mark in _MARK.finditer(sentence))


_CODE_AND_BOX = re.compile(r"```.*?```|\\(?:boxed|fbox)", re.DOTALL)


def _marked(text: str) -> list[tuple[int, Statement]]:
    """Return what stands behind each mark such as "the answer is", with the place where it ends."""
    found = []
    for mark in [*[*_MARK.finditer(text)][-MOST_STATEMENTS:], *[*_HASHES.finditer(text)][-1:]]:
        is_hashes = mark.re is _HASHES
        before = text[: mark.start()].rstrip(" *_")[-30:] + (" " if text[: mark.start()].endswith(" ") else "")
        if not is_hashes and _NOT_OURS.search(before):
            continue
        begin = mark.start(1) if is_hashes else mark.end()
        blank = len(text[begin:]) - len(text[begin:].lstrip(" \t\n:*_"))
        is_item = "\n" in text[begin : begin + blank]
        begin += blank
        ending = _END.search(text, begin)
        end = ending.start() if ending else len(text)
        if inside := _BECAUSE.sub("", text[begin:end]).strip(" *_\t"):
            sentence = _sentence_around(text, mark.start(), end) + text[end : end + 1]
            is_dash = is_item and inside.startswith("-")
            found.append((end, Statement(f"- {inside[1:]}" if is_dash else inside, "marked", sentence)))
    return sorted(found, key=lambda one: one[0])


def _of_marked(text: str, marked: list[tuple[int, Statement]]) -> Statements:
    end, final = marked[-1]
    if _TAKEN_BACK.search(text[end:]):
        return Statements(problem="something behind the answer takes it back or names another case")
    for _, one in marked:
        if HEDGES.search(one.sentence) or _is_doubted(one):
            return Statements(problem=f"the sentence that states the answer hedges or denies: {one.sentence[:80]}")
    return Statements(final, tuple(one for _, one in marked[:-1]), before=text[:end], behind=text[end:])


def _is_doubted(statement: Statement) -> bool:
    """Return whether the words before a mark deny what stands behind it, or say who claims it."""
    before, _, behind = statement.sentence.rpartition(statement.text)
    mark = [*_MARK.finditer(before)]
    lead = before[: mark[-1].start()] if mark else ""
    claimed = _CLAIM.search(lead) and not _TRUSTED_CLAIM.search(lead)
    return bool(claimed or _DENIES.search(lead) or _DENIES.search(_BECAUSE.sub("", behind)))


def _sentence_around(text: str, start: int, end: int) -> str:
    opening = max(0, start - BEFORE)
    begins = [found.end() for found in _END.finditer(text, opening, start)]
    ending = _END.search(text, end)
    return text[begins[-1] if begins else opening : ending.start() if ending else len(text)].strip()


def _unmarked(text: str) -> Statements:
    """Return a response that is nothing but its answer, or that ends in a conclusion."""
    if _MARK.search(text):
        return Statements(problem="the answer that the response names may be somebody else's")
    parts = [_BECAUSE.sub("", part).strip() for part in sentences_of(text)]
    parts = [part for part in parts if part and not _REASON.search(part)]
    if not parts:
        return Statements(problem="the response says nothing that can be taken for an answer")
    last = parts[-1]
    place: StatementPlace = "whole" if len(parts) == 1 and len(text) <= LONGEST_BARE else "conclusion"
    if place == "conclusion" and not _CONCLUDES.search(last):
        return Statements(problem="the response does not say which of its words are the answer")
    if HEDGES.search(last) or text.endswith("?"):
        return Statements(problem=f"the answer hedges, denies or asks: {last[:80]}")
    shout = "!" if text.endswith("!") and text.rstrip("! ").endswith(last) else ""
    return Statements(Statement(last, place, last + shout))
