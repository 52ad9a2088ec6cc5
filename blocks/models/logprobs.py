"""The log probabilities of a reply: which other numbers the model could have written in place of each of its own."""

import codecs
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOGPROBS: Mapping[str, Any] = {"logprobs": True, "top_logprobs": 20}
"""What a request has that asks for them, by OpenAI's names; no server gives more than 20 for a token."""
Numbers = list[list[Any]]
"""For each token that holds digits `[start, end, {digits: probability}]`, by the places of the digits in the text."""
_LEAST = 1e-4
"""A less probable alternative moves no mean by a thousandth."""
_WIDE = {0xFF01 + offset: 0x21 + offset for offset in range(94)}
_NUMBER = re.compile(r"[^0-9A-Za-z-]*([0-9]{1,3})[^0-9A-Za-z]*")


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reply: its text, and the most likely texts in its place with their log probabilities."""

    text: str
    alternatives: Sequence[tuple[str, float]] = ()


def number_places(text: str, tokens: Sequence[Token]) -> Numbers:
    """Return where the numbers of a reply stand, token by token, and what could have stood there instead.

    Tokens and text are matched by their visible ASCII signs. Servers differ in the rest: some strip blanks, write a
    blank as `▁`, cut a character into two tokens, or list thinking and end marks that are not in the text.

    Args:
        text: The reply.
        tokens: All its tokens, in their order; there may be further ones before and behind.

    Returns:
        The digits of each token that holds some, under "" the probability of all that is no number; empty if the tokens
        are not those of the text.
    """
    signs = [(sign, place) for place, token in enumerate(tokens) for _, sign in _visible(token.text)]
    wanted = list(_visible(text))
    start = "".join(sign for sign, _ in signs).rfind("".join(sign for _, sign in wanted))
    spans: dict[int, list[int]] = {}
    for (place, sign), (_, token) in zip(wanted, signs[start:] if start >= 0 else (), strict=False):
        if sign.isdigit():
            spans.setdefault(token, []).append(place)
    found = ([places[0], places[-1] + 1, _odds(tokens[token])] for token, places in spans.items())
    return [one for one in found if one[2]]


def read_numbers(text: str, logprobs: Any) -> Numbers | None:
    """Return the numbers of a reply with their alternatives, as a server gives them; None if it gives none.

    Args:
        text: The reply.
        logprobs: The field `logprobs` of a choice: OpenAI's form with `content`, or that of completions, which Together
            and llama-cpp-python use for chats too. What is neither counts as nothing.
    """
    try:
        tokens = _tokens(logprobs)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    return number_places(text, tokens) if any(token.alternatives for token in tokens) else None


def digits_of(text: str) -> str:
    """Return the digits of a text that is one whole number but for blanks and marks, else an empty text."""
    found = _NUMBER.fullmatch(text.translate(_WIDE))
    return found[1] if found else ""


def _visible(text: str) -> Iterable[tuple[int, str]]:
    return ((place, sign) for place, sign in enumerate(text.translate(_WIDE)) if "!" <= sign <= "~")


def _odds(token: Token) -> dict[str, float]:
    """Return the probability of each number in a token's place; none if the token is no number itself."""
    own = digits_of(token.text)
    odds: dict[str, float] = defaultdict(float)
    for text, logprob in token.alternatives:
        odds[digits_of(text)] += math.exp(min(0.0, logprob))
    kept = {digits: round(odd, 6) for digits, odd in odds.items() if odd >= _LEAST or digits == own}
    return kept if own and own in kept else {}


def _tokens(logprobs: Any) -> list[Token]:
    """Return the tokens of a reply. Raises what a field of another form raises."""
    if not isinstance(logprobs, Mapping):
        return []
    if isinstance(logprobs.get("content"), list):
        return _tokens_of_chat(logprobs["content"])
    tops = logprobs.get("top_logprobs") or []
    entries = zip(logprobs.get("tokens") or (), logprobs.get("token_logprobs") or (), tops, strict=True)
    return [Token(text, _with_own(text, own, (top or {}).items())) for text, own, top in entries]


def _tokens_of_chat(content: Sequence[Mapping[str, Any]]) -> list[Token]:
    found = []
    for text, entry in zip(_whole_characters(content), content, strict=True):
        own = _text_of(entry)
        top = [(_text_of(one), float(one["logprob"])) for one in entry.get("top_logprobs") or ()]
        # The alternatives to a part of a character are parts of characters, which say nothing by themselves.
        found.append(Token(text, _with_own(own, entry["logprob"], top) if own == text else ()))
    return found


def _with_own(text: str, own: Any, top: Iterable[tuple[str, Any]]) -> list[tuple[str, float]]:
    """Return the alternatives in a token's place; some servers leave out the token itself if it is none of the best."""
    found = [(str(other), float(logprob)) for other, logprob in top]
    missing = found and text not in {other for other, _ in found} and own is not None
    return [*found, (text, float(own))] if missing else found


def _whole_characters(content: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the text of each token; a character that several tokens make together stands in the last of them."""
    if not all(isinstance(entry.get("bytes"), list) for entry in content):
        return [str(entry["token"]) for entry in content]
    decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
    return [decoder.decode(bytes(entry["bytes"])) for entry in content]


def _text_of(entry: Mapping[str, Any]) -> str:
    data = entry.get("bytes")
    return bytes(data).decode(errors="ignore") if isinstance(data, list) else str(entry["token"])
