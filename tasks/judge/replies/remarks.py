"""Remarks beside verdicts that may change what they mean: another scale, or texts in another order."""

import re
from collections.abc import Iterable, Sequence
from functools import cache

from kasasagi.tasks.judge.replies.lines import opens_rationale, quote, refuse, without_marks
from kasasagi.tasks.judge.replies.rating_words import RatingScale

_MAY_CHANGE = re.compile(
    r"\bscales?\b|\bswap|\brevers|\binvert|\bflip|\bswitch|\bexchang|\bupside"
    r"|\bother way a?round\b|\bopposite order|逆|入れ替|入れ換|入替|取り違え|スケール|尺度|段階|点満点"
)
"""What a remark has that may change the meaning of verdicts, once the judge's own scale is taken out."""
_SWAPPED = re.compile(
    r"\b(?:texts?|responses?|answers?|labels?|sections?|ratings?|both|they)\b[^.。:]{0,30}"
    r"\b(?:swapped|reversed|switched|exchanged|inverted|flipped|other way)"
    r"|\b(?:swap|switch|exchange|reverse|invert|flip)\s(?:the\s)?(?:two|texts?|both|labels?|ratings?|numbers|them|scale)\b"
    r"|(?:文章|番号|評点|評価|両者|二つ|以下)[^。]{0,12}(?:逆順?(?:です|である|に)|入れ替|入替|取り違え)"
)
_TURNED_SCALE = re.compile(
    r"\b(?:lower|smaller|less)\s(?:\w+\s)?(?:is|means|=)\sbetter|\bthe (?:lower|smaller),? the better"
    r"|(?:低い|小さい|少ない)(?:方|ほう|ほど)(?:が|の方が)?(?:良|よ|優|高)"
    r"|\b(?:revers|invert|opposite)\w*\s(?:\w+\s)?scale|\bscale\b[^.。]{0,20}\b(?:revers|invert|upside)|逆(?:の|順の)?(?:尺度|スケール)"
    r"|(?:尺度|スケール)[^。]{0,8}逆"
)
_WORDS_OF_TURNED_SCALE = ("better", "scale")
"""All that the English forms of a turned scale have one of."""
_BEST = (
    r"(?:the\s)?(?:very\s)?"
    r"(?:best|highest|top|excellent|perfect|most|最高|最良|最も(?:良|優|高)|一番(?:良|よ|高)|良い|優)"
)
_WORST = r"(?:the\s)?(?:very\s)?(?:worst|lowest|poor|bad|least|最低|最悪|最も(?:悪|劣|低)|一番(?:悪|低)|悪い|劣)"


def check_remarks(
    preamble: Sequence[str], rationales: Iterable[Sequence[str]], scale: RatingScale | None, *, reason: str
) -> None:
    """Refuse words that may change what verdicts mean.

    Args:
        preamble: The lines that belong to no verdict.
        rationales: The lines of each verdict, with the label of the rationale if there is one.
        scale: The scale that was asked for, which the judge may repeat; None for comparisons.
        reason: The reason of the refusal.

    Raises:
        UnreadableReply: A line names another scale or order.
    """
    for raw in preamble:
        plain = _plain(raw)
        if _MAY_CHANGE.search(_own_scale(scale).sub(" ", plain) if scale else plain) or _turns(plain, scale):
            _refuse(raw, reason)
    for lines in rationales:
        labelled = any(map(opens_rationale, lines))
        for raw in lines:
            plain = _plain(raw)
            if _turns(plain, scale) or (not labelled and _SWAPPED.search(plain)):
                _refuse(raw, reason)


def _turns(plain: str, scale: RatingScale | None) -> bool:
    """Return whether a line turns the scale upside down."""
    if scale is None:
        return False
    # Most lines have none of the words and numbers, and finding that out costs a fraction of the search.
    may_turn = not plain.isascii() or any(word in plain for word in _WORDS_OF_TURNED_SCALE)
    has_ends = str(scale.lowest) in plain or str(scale.highest) in plain
    return bool((may_turn and _TURNED_SCALE.search(plain)) or (has_ends and _ends(scale).search(plain)))


def before_rationale(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines before the label of a rationale; none where there is no such label."""
    return lines[: next((place for place, raw in enumerate(lines) if opens_rationale(raw)), 0)]


def _plain(raw: str) -> str:
    return without_marks(raw).lower()


def _refuse(raw: str, reason: str) -> None:
    refuse(reason, f"the line {quote(raw)} may change what the verdicts mean")


@cache
def _numbers(lowest: int, highest: int) -> tuple[str, str]:
    not_a_text = "".join(
        rf"(?<!{word})" for word in ("text ", "response ", "answer ", "output ", "step ", "文章", "文章 ")
    )
    return rf"{not_a_text}(?<![\d.]){lowest}(?![\d.]\d?)", rf"{not_a_text}(?<![\d.]){highest}(?![\d.]\d?)"


def _own_scale(scale: RatingScale) -> re.Pattern[str]:
    return _own_scale_of(scale.lowest, scale.highest)


def _ends(scale: RatingScale) -> re.Pattern[str]:
    return _ends_of(scale.lowest, scale.highest)


@cache
def _own_scale_of(lowest: int, highest: int) -> re.Pattern[str]:
    """Return a pattern that finds the judge's own scale, as "on a scale of 1 to 5" and "the five-point scale"."""
    span = rf"{lowest}\s?(?:to|through|and|-|–|—|~|〜|から|より)\s?{highest}(?!\d)"
    words = {3: "three", 5: "five", 7: "seven", 10: "ten"}.get(highest, str(highest))
    points = rf"(?:{highest}|{words})[\s-]?(?:point|step|level|star)s?"
    return re.compile(
        rf"scale\s?(?:of|from|between|:|is|\()\s?(?:from\s)?{span}|(?:{span}|{points})\s?(?:rating\s|likert\s)?scale"
        rf"|(?<!\d){highest}(?:段階|点満点)|{span}の?(?:\d段階|段階|尺度|スケール)"
        r"|(?:the|this|your|same|given|requested)\s(?:given\s|requested\s|rating\s|above\s)?scale(?:\s(?:above|given|provided))"
    )


@cache
def _ends_of(lowest: int, highest: int) -> re.Pattern[str]:
    """Return a pattern that finds a scale upside down: its lowest number as the best, or its highest as the worst."""
    low, high = _numbers(lowest, highest)
    is_ = r"\s?(?:is|=|:|means|being|as|was|stands for|for|が|は|を|\(|-)\s?"
    return re.compile(
        "|".join(
            rf"{number}{is_}{end}|{end}\)?\s?(?:is|=|:|being|as|\(|が|は)\s?{number}"
            for number, end in ((low, _BEST), (high, _WORST))
        )
    )
