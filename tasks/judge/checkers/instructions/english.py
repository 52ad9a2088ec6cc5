"""Constraints that an English prompt states."""

import re

from kasasagi.tasks.judge.checkers.instructions.further_orders import further_order
from kasasagi.tasks.judge.checkers.instructions.recognised import Found, Language, Read, Recognised, Rule, recognise
from kasasagi.tasks.judge.checkers.numbers.numerals import english_words

_THINGS = {
    "word": "words",
    "sentence": "sentences",
    "paragraph": "paragraphs",
    "character": "characters",
    "bullet": "bullets",
    "bullet point": "bullets",
    "bulleted item": "bullets",
}
_N = (
    r"((?<![-.,\w])\d[\d,]{0,8}|(?<![-.\w])(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|fifty"
    r"|a hundred))"
)
_THING = r"(words?|sentences?|paragraphs?|characters?|bullet\s+points?|bullets?|bulleted\s+items?)"
_QUOTED = r"[\"'“‘`]([^\"“”`\n]{1,120}?)[\"'”’`]"
_QUOTES = rf"{_QUOTED}(?:\s*(?:,|and|or|,\s*and)\s*{_QUOTED})?(?:\s*(?:,|and|or|,\s*and)\s*{_QUOTED})?"
_REPLY = r"(?:your|the)\s+(?:\w+\s+)?(?:response|answer|reply|text|letter|essay|story|poem|message|output|email|post)"
_ALL_IN = r"\b(?:use|using)\s+(?:(?:all|only)\s+{0}|{0}\s+only)\b(?!\s+(?:for|in|on|at|when|where|as|to|if|and|or)\b)"
"""Letters of one case for the whole answer; `use lowercase letters for names` is another matter."""
_WORD = r"\b[A-Za-z]+"
_WORDS = rf"words?\s+({_WORD})(?:\s*,\s*({_WORD}))?(?:\s*,?\s*(?:and|or)\s+({_WORD}))?(?=\s*(?:[.!;\n]|\Z))"
"""Up to three words without quotation marks, which end their sentence."""
_NOT = r"(?:do\s+not|don't|never|without|avoid|must\s+not|should\s+not|cannot|can't)"


def _number(text: str) -> int:
    words = english_words(text.replace("a hundred", "one hundred"))
    return int(words) if words is not None else int(text.replace(",", ""))


def _thing(text: str) -> str:
    return _THINGS[" ".join(text.lower().split()).removesuffix("s")]


def _at_least(more: int) -> Read:
    return lambda match: {_thing(match[2]): {"at_least": _number(match[1]) + more}}


def _at_most(less: int) -> Read:
    return lambda match: {_thing(match[2]): {"at_most": _number(match[1]) - less}}


def _exactly(match: re.Match[str]) -> Found | None:
    """Leave out a bare number of words or characters, which is seldom meant to the letter."""
    thing, count = _thing(match[2]), _number(match[1])
    is_exact = "exactly" in match[0].lower() or thing in ("sentences", "paragraphs", "bullets")
    return {thing: {"at_least": count, "at_most": count}} if is_exact else None


def _between(match: re.Match[str]) -> Found:
    return {_thing(match[3]): {"at_least": _number(match[1]), "at_most": _number(match[2])}}


def _texts(name: str) -> Read:
    return lambda match: {name: [text for text in match.groups() if text]}


def _required(match: re.Match[str]) -> Found | None:
    """Return the words that must be there; either of two is not understood."""
    is_either = re.search(r"[\"'”’`]\s*,?\s*or\b", match[0]) or re.match(r"\s*,?\s*or\b", match.string[match.end() :])
    return None if is_either else {"required": [text for text in match.groups() if text]}


def _required_words(match: re.Match[str]) -> Found | None:
    """Return words without quotation marks that must be there; either of two is not understood."""
    return None if re.search(r"\bor\b", match[0]) else {"required": [text for text in match.groups() if text]}


def _always(found: Found) -> Read:
    return lambda match: found


def _language(match: re.Match[str]) -> Found:
    return {"language": "en" if match[1].lower() == "english" else "ja"}


def _less(match: re.Match[str]) -> Found:
    count, thing = (match[1], match[2]) if match[1] else (match[3], match[4])
    return {_thing(thing): {"at_most": _number(count) - 1}}


_RULES: tuple[tuple[str, Read], ...] = (
    (rf"\bbetween\s+{_N}\s+(?:and|to)\s+{_N}\s+{_THING}\b", _between),
    (
        rf"\b(?:at\s+most|no\s+(?:more|longer)\s+than|not\s+more\s+than|(?:a\s+)?max(?:imum)?(?:\s+of)?|up\s+to|within"
        rf"|limit\s+(?:your\s+\w+|yourself|it)\s+to)\s+{_N}\s+{_THING}\b",
        _at_most(0),
    ),
    (rf"\b(?:in\s+)?{_N}\s+{_THING}\s+(?:max(?:imum)?|at\s+most)\b", _at_most(0)),
    (rf"\b(?:in\s+)?{_N}\s+{_THING}\s+(?:min(?:imum)?|at\s+least)\b", _at_least(0)),
    (
        rf"\b(?:at\s+least|no\s+(?:fewer|less)\s+than|not\s+less\s+than|(?:a\s+)?min(?:imum)?(?:\s+of)?)\s+{_N}\s+{_THING}\b",
        _at_least(0),
    ),
    (rf"\b{_N}\s+or\s+more\s+{_THING}\b", _at_least(0)),
    (rf"\b{_N}\+\s+{_THING}\b", _at_least(0)),
    (rf"\b{_N}\s+{_THING}\s+or\s+more\b", _at_least(0)),
    (rf"\b(?:more\s+than|over)\s+{_N}\s+{_THING}\b", _at_least(1)),
    (rf"\b(?:in\s+)?{_N}\s+{_THING}\s+or\s+(?:less|fewer)\b", _at_most(0)),
    (rf"\b(?:less|fewer)\s+than\s+{_N}\s+{_THING}\b|\bunder\s+{_N}\s+{_THING}\b", _less),
    (
        r"\b(?:in|into|using|use|with|of|write|give\s+me|provide|list|compose|create|contain|have|be|exactly|only|just)\s+"
        rf"(?:(?:exactly|only|just)\s+)?{_N}\s+{_THING}\b(?!\s+(?:each|per|long|summary|essay|or|max|min|at|then|in\s+total)|,?\s+then)",
        _exactly,
    ),
    (
        rf"\b(?:entire\s+|whole\s+)?(?:{_REPLY}\s+(?:must|should)\s+be\s+)?(?:entirely\s+)?(?:written\s+)?in\s+(?:all\s+)?"
        r"lower\s?case(?:\s+letters)?(?:\s+only)?\b(?:,?\s*(?:and\s+)?(?:with\s+)?no\s+capital\s+letters(?:\s+are\s+allowed)?)?",
        _always({"case": "lower"}),
    ),
    (rf"\b(?:{_NOT}|no)\s+(?:use\s+|using\s+)?(?:any\s+)?capital\s+letters\b", _always({"case": "lower"})),
    (_ALL_IN.format(r"lower\s?case(?:\s+letters)?"), _always({"case": "lower"})),
    (_ALL_IN.format(r"(?:upper\s?case(?:\s+letters)?|capital\s+letters|caps)"), _always({"case": "upper"})),
    (
        r"\bin\s+(?:all\s+)?(?:upper\s?case|capital\s+letters|capitals|caps|all\s+caps)(?:\s+letters)?(?:\s+only)?\b",
        _always({"case": "upper"}),
    ),
    (
        rf"\b{_NOT}\s+(?:use|include|mention|contain|say|using|mentioning|including|saying)?\s*(?:of\s+)?(?:the\s+)?"
        rf"(?:following\s+)?(?:exact\s+)?(?:key)?(?:words?|phrases?|terms?)?\s*:?\s*{_QUOTES}"
        r"(?!\s+(?:more|at|in|again|twice|too|before|after|until|unless|except|as|when|if)\b)",
        _texts("forbidden"),
    ),
    (
        r"\b(?:include|use|mention|contain|must\s+include|make\s+sure\s+to\s+(?:include|use))\s+(?:the\s+)?(?:following\s+)?"
        rf"(?:exact\s+)?(?:key)?(?:words?|phrases?|terms?)\s*:?\s*{_QUOTES}",
        _required,
    ),
    (
        rf"\b{_NOT}\s+(?:use|include|mention|contain|say|using|mentioning|including|saying)\s+the\s+(?:key)?{_WORDS}",
        _texts("forbidden"),
    ),
    (rf"\b(?:include|use|mention)\s+the\s+(?:key)?{_WORDS}", _required_words),
    (
        rf"\b(?:start|begin)\s+(?:(?:{_REPLY}|it)\s+)?with\s+(?:the\s+)?(?:exact\s+)?(?:words?\s+|phrase\s+|sentence\s+)?{_QUOTED}",
        lambda match: {"starts_with": match[1]},
    ),
    (
        rf"\b(?:end|finish|conclude)\s+(?:(?:{_REPLY}|it)\s+)?with\s+(?:the\s+|this\s+)?(?:exact\s+)?"
        rf"(?:words?\s+|phrase\s+|sentence\s+)?{_QUOTED}",
        lambda match: {"ends_with": match[1]},
    ),
    (
        r"\b(?:wrap|enclose|put)\s+(?:your\s+(?:entire\s+|whole\s+)?(?:response|answer|reply))\s+(?:in|with)\s+double\s+"
        r"quot(?:ation|e)(?:\s+mark)?s?\b",
        _always({"formats": ["quoted"]}),
    ),
    (
        r"\b(?:a|the)\s+title,?\s+(?:wrapped|enclosed)\s+in\s+double\s+angular\s+brackets,?\s*(?:(?:i\.e\.|such\s+as|e\.g\.),?\s*"
        r"<<[^<>\n]+>>)?",
        _always({"formats": ["title"]}),
    ),
    (rf"\b{_NOT}\s+(?:use\s+|using\s+)?(?:any\s+)?commas\b|\bno\s+commas\b", _always({"formats": ["no_commas"]})),
    (
        r"\b(?:in|as|using)\s+(?:valid\s+)?json(?:\s+(?:format|object))?(?:\s+only)?\b(?!\s+with)",
        _always({"formats": ["json"]}),
    ),
    (
        rf"\b(?:{_REPLY}\s+(?:must|should)\s+be\s+|(?:answer|respond|reply|write)\s+(?:\w+\s+){{0,3}}?)?(?:only\s+|entirely\s+)?"
        r"in\s+(English|Japanese)(?:\s+only)?\b",
        _language,
    ),
)


RULES: tuple[Rule, ...] = tuple((re.compile(pattern, re.IGNORECASE), read) for pattern, read in _RULES)
_ASKS_MORE = re.compile(
    r"\b(?:must|should|exactly|at\s+least|at\s+most|only|avoid|without|do\s+not|don't|never|always|every|each|include|mention"
    r"|ensure|make\s+sure|format\w*|styles?|tone|limit\w*|words?|sentences?|paragraphs?|characters?|letters|letter(?!\s+(?:to|from|for|about|of)\b)|bullets?|bulleted"
    r"|json|yaml|xml|csv|html|markdown|table|lists|list(?!\s+(?:\d|two|three|four|five|six|seven|eight|nine|ten|some|the|all)\b)|bold|italic\w*|highlight\w*|sections?|titled?|headings?|headlines?|rhym\w+"
    r"|lower\s?case|upper\s?case|capital(?:s|i[sz]\w+|\s+letters?)|quot\w+|commas?|punctuation|emojis?|placeholders?|postscript|p\.s\.|repeat"
    r"|twice|times|language|french|german|spanish|chinese|korean|english|japanese|short|brief\w*|long|concise\w*|about\s+\d+"
    r"|around\s+\d+|roughly|approximately|start\w*|begin\w*|end\s+with|ending|finish\w*|first\s+word|last\s+word|step\s+by\s+step"
    r"|numbered|separat\w+|order|alphabetical\w*|formal\w*|informal\w*|polite\w*|persona|pirate|as\s+if|in\s+the\s+voice)\b|[\"“”‘]|(?<!\w)'\w",
    re.IGNORECASE,
)


_MUST = r"(?:must|should|needs?\s+to|has\s+to|have\s+to|is\s+to)"
_LEAD = (
    rf"\b(?:(?:{_REPLY}|it|you)\s+{_MUST}(?:\s+(?:be(?:\s+written)?|have|contain|include|use|consist\s+of|write|answer|respond))?"
    rf"|(?:and\s+)?(?:make|keep)\s+(?:{_REPLY}|it)|(?:and\s+)?(?:make\s+sure|ensure)\s+(?:that\s+)?(?:{_REPLY}|it)\s+(?:is|has|contains|uses))"
)
_BREAK = re.compile(r"[.!?;](?=\s|\Z)|\n")
_POLITE = r"(?:\W|(?:and|then|also|but|please|kindly|finally|now|note|that)\b|(?:can|could|would|will)\s+you\b)*"
_VERBS = (
    r"write|describe|explain|give|tell|list|summari[sz]e|answer|respond|reply|use|using|include|make|keep|limit|provide|create|compose"
    r"|start|begin|end|finish|conclude|wrap|enclose|put|do|don't|avoid|never|no|in|with|within|without|define|compare|discuss|outline|draft"
    r"|generate|rewrite|paraphrase|state|mention|contain|ensure|present|format|output|return|introduce|suggest|recommend|argue|review"
    r"|analy[sz]e|share|continue|complete|at|only|exactly|answering|responding"
)
_HEAD = re.compile(
    rf"\A{_POLITE}(?:{_VERBS}|{_REPLY}\s+(?:must|should|needs?|has|have|to|is\s+to)|(?:it|you)\s+(?:must|should|needs?|has|have|are)"
    r"|i\s+(?:want|need|would\s+like)|i'd\s+like|\Z)(?!\w)",
    re.IGNORECASE,
)
_REQUEST = re.compile(r"\A\W*(?:please\s+)?(?:can|could|would|will)\s+you\b", re.IGNORECASE)
_NEGATED = re.compile(
    r"(?:\b(?:not|never|no|avoid|without|cannot|nor|neither|instead\s+of|rather\s+than|refrain|forget|hesitate|fail|omit)\b|n't\b)"
    r"[^,;]{0,40}\Z",
    re.IGNORECASE,
)
_OF_A_PART = re.compile(
    r"\b(?:each|every|per|first|second|third|last|then|followed|either|title|heading|headline|caption|subject|line|or\s+so|if|unless|when)\b",
    re.IGNORECASE,
)
_DIRECTLY = re.compile(
    r"(?:\b(?:these|those|the|following|above|about|around|roughly|approximately|nearly|almost|or|and|to|hundred|thousand|a)|\d|[-–])\s*\Z",
    re.IGNORECASE,
)
"""Before a count: it is another one, or that of something there is."""
_BELOW = re.compile(
    r"\b(?:that|which|who|whose|why|how|what|because|author|book|people|does|function|script|program|code|class|query|api|file)\b",
    re.IGNORECASE,
)
_COUNT = re.compile(rf"{_N}\s+{_THING}\b", re.IGNORECASE)


def _is_order(text: str, match: re.Match[str]) -> bool:
    """Return whether the sentence around a match asks for it, of the whole answer."""
    begin = max((one.end() for one in _BREAK.finditer(text, 0, match.start())), default=0)
    ending = _BREAK.search(text, match.end() - 1 if text[match.end() - 1] in ".!?" else match.end())
    before, behind = text[begin : match.start()], text[match.end() : ending.start() if ending else len(text)]
    if ending and ending[0] == "?" and not _REQUEST.match(before):
        return False
    if not _HEAD.match(before) or _NEGATED.search(before) or _OF_A_PART.search(f"{before} # {behind}"):
        return False
    if not _COUNT.search(match[0]):
        return not _BELOW.search(before)
    led = re.match(r"(?:in|into|using|with)\b", match[0], re.IGNORECASE) or re.search(
        r"\b(?:in|using|with)\s+\Z", before
    )
    is_of_another = _COUNT.match(match[0]) and _DIRECTLY.search(before)
    return not is_of_another and bool(led or not _BELOW.search(before))


def recognise_english(prompt: str) -> Recognised:
    """Return the constraints that an English prompt states."""
    return recognise(prompt, ENGLISH)


ENGLISH = Language(RULES, _ASKS_MORE, _LEAD, _is_order, further_order)
