"""The words behind a rating's label: one number of the scale, and which words can follow it."""

import re
from fractions import Fraction

from kasasagi.tasks.judge.replies.lines import HEAD_CHARS, quote, refuse
from kasasagi.tasks.judge.replies.rating_words import RatingScale, fits

_UNIT = r"(?:点|points?(?![a-z])|(?P<{}>stars?(?![a-z])))"
_VALUE = re.compile(
    r"(?:(?P<before>[0-9]+)\s*点?(?:満点)?中\s*)?(?P<number>-?[0-9]+(?:\.[0-9]+)?)"
    rf"\s*{_UNIT.format('stars')}?\s*(?:(?:/|out of)\s*(?P<behind>[0-9]+)\s*{_UNIT.format('more_stars')}?)?"
    r"\s*(?:[(\[（【「](?P<in_brackets>[^()\[\]（）【】「」0-9]{1,120})[)\]）】」]|[-–—:]\s*(?P<explained>[^0-9:=]{1,160}?)"
    r"|(?<![0-9])(?P<bare>[^\W\d_][^0-9:=()\[\]]{0,60}?)|[,、\s]\s*(?P<apart>[^\W\d_][^0-9:=()\[\]]{0,60}?))?\s*[.。]?"
)


def read_rating(number: int, words: str, scale: RatingScale) -> float:
    """Return the rating of a text.

    Args:
        number: The number of the text, for the error.
        words: The words after the label.
        scale: The scale that was asked for.

    Raises:
        UnreadableReply: The words are not a number of the scale, or further words may change its meaning.
    """
    if not words:
        refuse("missing_rating", f"the rating of text {number} is empty")
    found = _VALUE.fullmatch(words) if len(words) <= HEAD_CHARS else None
    if found is None:
        refuse("rating_not_a_number", f"the rating of text {number} is {quote(words)}, not one number in digits")
    _check_end_of_scale(number, words, found, scale)
    rating = Fraction(found["number"])
    if not scale.lowest <= rating <= scale.highest:
        span = f"{scale.lowest} to {scale.highest}"
        refuse("rating_out_of_range", f"the rating of text {number} is {quote(words)}, not from {span}")
    if (rating * 2 if scale.halves else rating).denominator != 1:
        refuse("rating_not_whole", f"the rating of text {number} is {quote(words)}, not a number of the scale")
    _check_label(words, found, rating, scale)
    return float(rating)


def _check_end_of_scale(number: int, words: str, found: re.Match[str], scale: RatingScale) -> None:
    """Refuse a rating on another scale; stars are those of a scale of five."""
    ends = {found["before"], found["behind"], "5" if found["stars"] or found["more_stars"] else None} - {None}
    if ends - {str(scale.highest)}:
        refuse("other_scale", f"the rating of text {number} is {quote(words)}, but the scale ends at {scale.highest}")


def _check_label(words: str, found: re.Match[str], rating: Fraction, scale: RatingScale) -> None:
    """Refuse words behind a rating that may mean another one."""
    explained, bare = found["in_brackets"] or found["explained"], found["bare"] or found["apart"]
    label = (explained or bare or "").strip()
    if (explained or bare) and not fits(label, rating, scale, as_sentence=bare is None):
        refuse("unclear_rating", f"the words behind the rating {quote(words)} may mean another one")
