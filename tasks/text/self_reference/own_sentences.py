"""The sentences that an answer says in its own voice: without code, quotations and lines of other speakers."""

import re

from kasasagi.tasks.text.leaks.template_marks import without_fences

LOOKED_AT = 6000
_ONLY_A_NAME = re.compile(r"(?!.*(?:\bI\b|は|です|ます))[\w .+-]{1,24}")
_QUOTED = re.compile(
    r"「(?P<a>[^」]*)」|『(?P<b>[^』]*)』|“(?P<c>[^”]*)”|\"(?P<d>[^\"\n]*)\"|(?<!\w)'(?P<e>[^'\n]*)'(?!\w)"
    r"|`(?P<f>[^`\n]*)`"
)
_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_OF_A_SPEAKER = re.compile(
    r"^[ \t]*(?:[-*+•][ \t]+|\d+[.)][ \t]+)?[*_]{0,3}"
    r"(?!(?:A|Answer|Response|Reply|Note|Disclaimer|Important|P\.?S|Knowledge cut-?off|回答|答え|注意?|補足|備考)\b)"
    r"[\w.'()-]{1,16}(?: [\w.'()-]{1,16})?[*_]{0,3}[ \t]*[:：].*$",
    re.MULTILINE | re.IGNORECASE,
)
_ABBREVIATED = re.compile(r"\b(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|approx|Inc|vs|Dr|Mr|Mrs|Ms)\. ?")
_SENTENCE_END = re.compile(r"(?<=[.!?])[*_]{0,3}\s+|[。！？\n]+")


def own_sentences(content: str) -> list[str]:
    """Return what an answer says in its own voice, sentence by sentence, with plain apostrophes and without emphasis.

    A quotation that is no more than a name stays without its marks.
    """
    text = without_fences(content)[:LOOKED_AT].replace("’", "'")
    text = _OF_A_SPEAKER.sub("", _QUOTED_LINE.sub("", text))
    text = _ABBREVIATED.sub(r"\1 ", _QUOTED.sub(_name_or_nothing, text))
    return [part for one in _SENTENCE_END.split(text) if (part := one.replace("**", "").strip(" \t　*_#-•"))]


def _name_or_nothing(quoted: re.Match[str]) -> str:
    inner = next(text for text in quoted.groups() if text is not None)
    return inner if _ONLY_A_NAME.fullmatch(inner) else "…"
