"""Log probabilities of the fake models: every digit of a reply could have been its neighbour, as the reply decides."""

import math
import re
from typing import Any

from tests.fake_server.config import ServerConfig
from tests.fake_server.faults import draw

TOKEN = re.compile(r"[0-9]|\s?[^\W\d_]+|\s|.", re.DOTALL)
REFUSALS = {
    "refused": "logprobs is not supported with this model",
    "five": "top_logprobs must be less than or equal to 5",
}


def lean(text: str, place: int) -> float:
    """The probability, below a half, that the digit at a place of a reply would have been its neighbour."""
    return round(0.05 + 0.4 * draw("lean", text, place), 3)


def neighbour(digit: int) -> int:
    """The digit that could have stood in its place: one higher, or 4 for 5 and more."""
    return digit + 1 if digit < 5 else digit - 1


def mean(text: str, place: int) -> float:
    """The mean of the rating whose only digit stands at a place, with two decimals."""
    share = lean(text, place)
    return round((1 - share) * int(text[place]) + share * neighbour(int(text[place])), 2)


def refusal_of(body: dict[str, Any], config: ServerConfig) -> str | None:
    """Why this server does not take a request for log probabilities, if so."""
    refuses = config.logprobs == "refused" or (config.logprobs == "five" and body.get("top_logprobs", 0) > 5)
    return REFUSALS[config.logprobs] if body.get("logprobs") and refuses else None


def logprobs_of(body: dict[str, Any], text: str, config: ServerConfig) -> dict[str, Any]:
    """What a choice says beside its text, where log probabilities were asked for and are given."""
    if not body.get("logprobs") or config.logprobs == "ignored":
        return {}
    return {"logprobs": {"content": [_token(found, text) for found in TOKEN.finditer(text)]}}


def _token(found: re.Match[str], text: str) -> dict[str, Any]:
    token = found[0]
    odds = {token: 1.0}
    if token in "0123456789":
        share = lean(text, found.start())
        odds = {token: 1 - share, str(neighbour(int(token))): share}
    top = [_entry(one, odd) for one, odd in odds.items()]
    return {**top[0], "top_logprobs": top}


def _entry(token: str, odd: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(odd), "bytes": list(token.encode())}
