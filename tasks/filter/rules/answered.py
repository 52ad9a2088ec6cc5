"""The rule on instructions that hold their own answer; tasks of review must show one, and hold."""

import re

from kasasagi.tasks.filter.rules.texts import unquoted
from kasasagi.tasks.text.leaks.template_marks import LOOKED_AT
from kasasagi.tasks.text.patterns import lazy_pattern

_LABEL = lazy_pattern(
    r"^[ \t*_#]*(?:(?:correct |final |model |sample )?answer|solution|答え|回答|解答|正解|模範解答)"
    r"[*_]*[ \t]*[:：][*_]*[ \t]*"
    r"(?P<answer>(?!(?:も|を|と)(?:付け|つけ|書|記|添え|入れ|示))\S.*)?",
    re.IGNORECASE | re.MULTILINE,
)
_ONE_QUESTION = lazy_pattern(
    r"\A\s*(?:Q|Question|問|問題|質問)[.:：][^\n]*\n+\s*(?:A|答|解)[.:：][ \t]*(?!\n)\S[^\n]*\s*\Z", re.IGNORECASE
)
_IN_BRACKETS = lazy_pattern(
    r"[(（](?:(?:correct )?answer|ans\.?|答え|正解|解答)[ \t]*[:：][^()（）]+[)）]\s*\Z", re.IGNORECASE
)
_LAST_SENTENCE = lazy_pattern(
    r"[?？][\"”」]?\s+(?:the )?correct answer is [^?？\n]{1,120}\Z"
    r"|[?？][\"”」]?\s+the answer is [^?？\n]{1,120}\Z"
    r"|[?？][」\s]*(?:正解|答え)は[^?？。\n]{1,60}(?:です|である|だ)。?\s*\Z"
    r"|[?？][\"”」]?[ \u3000]*(?:(?:the )?(?:correct )?answer|答え|正解|解答)[ \t]*[:：]"
    r"(?!.*(?: or |/|または|もしくは|…|\.\.))[^?？\n]{1,80}\Z",
    re.IGNORECASE,
)
_ASSISTANT = lazy_pattern(
    r"(?:[.?!][ \t]+|\n[ \t]*)(?P<said>(?:sure|certainly|of course|absolutely)[,!.] +(?:here(?:'s| is| are)\b"
    r"|i(?:'d| would) be (?:happy|glad)\b|i can help\b|let me\b))"
    r"|[。？！\n][ \t\u3000]*(?P<said_in_japanese>(?:もちろんです|承知(?:いた|致)?しました"
    r"|かしこまりました)[。！、])",
    re.IGNORECASE,
)
_REVIEWS = lazy_pattern(
    r"\b(?:grad(?:e|ing)|evaluat|assess|check|review|correct (?:it|any|the)|improv|feedback|rat(?:e|ing)|explain why"
    r"|why is|verify|compar|translat|summari[sz]|rewrit|paraphras|proofread|edit|classif|judge|scor(?:e|ing)"
    r"|format|example)"
    r"|is (?:this|it|that|my answer) (?:right|correct)"
    r"|採点|評価|添削|改善|確認|正しい|合って|間違|見直|理由|翻訳|訳し|要約|比較|校正|修正|判定|分類|形式"
    r"|フォーマット|例を|例:|例：",
    re.IGNORECASE,
)


def answer_inside(text: str) -> str | None:
    """Reject an instruction with its own answer: behind a label, in brackets at its end, or in an assistant's words.

    An empty label at the end asks for the answer; several labels are worked examples; a task that reviews an answer
    must show it.
    """
    text = text[:LOOKED_AT]
    found = _IN_BRACKETS.search(text) or _LAST_SENTENCE.search(text) or _ONE_QUESTION.search(text)
    found = found or _assistant_speaks(text)
    if found is None:
        labels = list(_LABEL.finditer(text))
        found = labels[0] if len(labels) == 1 and labels[0]["answer"] and text[: labels[0].start()].strip() else None
    if found is None or _REVIEWS.search(text):
        return None
    return f"the answer is in the prompt: {' '.join(found[0].split())[:60]}"


def _assistant_speaks(text: str) -> re.Match[str] | None:
    return _ASSISTANT.search(unquoted(text))
