"""Requests to models that do not take every sampling parameter: their first refusal says which one, and what instead.

OpenAI's reasoning models take max_completion_tokens in place of max_tokens, and no temperature but the default; some
of Anthropic's take either temperature or top_p; many servers give few log probabilities or none. The request in the
ledger stays the one that was meant.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

RENAMED: Mapping[str, str] = {"max_tokens": "max_completion_tokens"}
LEFT_OUT = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_UNSUPPORTED = re.compile(
    r"unsupported|not support|(?:may|can) only be"
    r"|must be \d[\d.]* (?:for|with|when)\b|only the default|fixed to"
    r"|not a valid parameter|use [`'\"]?max_completion_tokens|n['’]t support|only \S+ is (?:allowed|supported)"
    r"|not (?:allowed|permitted|available|accepted)|deprecated"
    r"|unrecognized|unknown (?:name|parameter|field)|extra inputs|cannot both be",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"\bbetween\b|\bat (?:most|least)\b|[<>≤≥]|(?:less|greater|more|larger|smaller) than|out of range|exceed"
    r"|too (?:large|high)",
    re.IGNORECASE,
)
"""A value that is out of range is the recipe's fault: the parameter is not left out for it."""
LOGPROBS = ("logprobs", "top_logprobs")
FEWER_LOGPROBS: Sequence[Mapping[str, Any]] = ({"logprobs": True, "top_logprobs": 5}, {"logprobs": 5}, {})
"""What is tried in turn at a server that refuses log probabilities: some allow 5 of them (Fireworks, older vLLM), some
take a number in place of true (Together), some have none."""
ADAPTABLE = (*RENAMED, *LEFT_OUT, *LOGPROBS)
_NAME = re.compile(rf"(?<![a-z_])({'|'.join([*RENAMED, *LEFT_OUT])})(?![a-z_])")
_LOGPROBS = re.compile(r"log_?probs", re.IGNORECASE)
_ECHOES_REQUEST = re.compile(r"[\"']messages[\"']\s*:")


_SECOND_WORD = re.compile(r"(?<=[a-z])([A-Z])(?![A-Z])")
"""In presencePenalty and the like."""


class Adaptation:
    """What is sent differently to one model at one server, learnt from its refusals."""

    def __init__(self, changes: Mapping[str, str | None] = MappingProxyType({}), fewer_logprobs: int = 0) -> None:
        self._changes: dict[str, str | None] = dict(changes)
        self._fewer_logprobs = fewer_logprobs

    def copy(self) -> "Adaptation":
        """Return a copy that learns apart from this one."""
        return Adaptation(self._changes, self._fewer_logprobs)

    def learn(self, status: int, words: str, body: Mapping[str, Any]) -> bool:
        """Take a refusal; return whether another attempt at that request would differ.

        Args:
            status: The HTTP status.
            words: The server's message, the name of the parameter included.
            body: The request's body as it was sent.
        """
        if status in (400, 403, 422) and "logprobs" in body and _LOGPROBS.search(words):
            return not _ECHOES_REQUEST.search(words) and self._learn_logprobs(body)
        if status not in (400, 422) or not _UNSUPPORTED.search(words) or _RANGE.search(words):
            return False
        named = [name for name in _NAME.findall(_SECOND_WORD.sub(r"_\1", words).lower()) if name in body]
        if not named:
            return False
        name = named[-1] if "cannot both be" in words else named[0]
        self._changes[name] = RENAMED.get(name)
        return True

    def _learn_logprobs(self, body: Mapping[str, Any]) -> bool:
        """Ask for fewer log probabilities from now on, unless another refusal has already led to that."""
        if self._fewer_logprobs and _logprobs_of(body) != FEWER_LOGPROBS[self._fewer_logprobs - 1]:
            return True
        self._fewer_logprobs += 1
        return True

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a body as this model takes it."""
        if self._fewer_logprobs and "logprobs" in body:
            others = {name: value for name, value in body.items() if name not in LOGPROBS}
            body = {**others, **FEWER_LOGPROBS[self._fewer_logprobs - 1]}
        if not self._changes:
            return body
        kept = {name: value for name, value in body.items() if name not in self._changes}
        moved = {new: body[name] for name, new in self._changes.items() if new is not None and name in body}
        return {**moved, **kept}

    def remedies(self, label: str) -> list[str]:
        """Return what a recipe can say for each change, so that no first request is refused."""
        return [
            f"{label} does not accept {name}: write sampling: {{{name}: null}} where it is asked"
            + (f", and models.{label}.extra_body: {{{new}: 1024}}" if new else "")
            + "; otherwise a run learns it from a first refusal and sends what the model accepts"
            for name, new in self._changes.items()
        ]

    def notes(self) -> list[str]:
        """Return what is sent differently, as phrases."""
        return [
            f"does not accept {name}: {new} is sent instead"
            if new
            else f"does not accept {name}: it is not sent, and the server's default applies"
            for name, new in self._changes.items()
        ] + [_NOTES[number] for number in range(self._fewer_logprobs)]


def _logprobs_of(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in LOGPROBS if name in body}


_NOTES = (
    "does not give 20 log probabilities for a token: it is asked for 5",
    "does not give log probabilities that way: they are asked for by a number alone",
    "does not give log probabilities: ratings are read from the text",
)
