"""How many tokens a call will take, before it is sent: from its text, and from the answers so far."""

import math
from collections import defaultdict
from dataclasses import dataclass, replace

from kasasagi.blocks.models.llm import Completion, Request

CHARACTERS_IN_A_TOKEN = 4
TOKENS_GUESSED = 512
ENOUGH_ANSWERS = 20


def prompt_tokens(request: Request) -> int:
    """Tokens of a request's text."""
    messages = request.get("messages")
    if messages:
        text = "".join(str(message["content"]) for message in messages)
    else:
        given = request.get("prompt", request.get("input", ""))
        if isinstance(given, list) and given and all(isinstance(token, int) for token in given):
            return len(given)
        text = str(given)
    return text_tokens(text)


def text_tokens(text: str) -> int:
    """Tokens of a text: a quarter of its ASCII characters, and one for each other character."""
    wide = len(text) - len(text.encode("ascii", "ignore"))
    return (len(text) - wide) // CHARACTERS_IN_A_TOKEN + wide


def with_token_counts(request: Request, completion: Completion) -> Completion:
    """Return an answer with its tokens estimated from the texts where the server counted none, so that no
    cap is blind.
    """
    if completion.error is not None:
        return completion
    estimated = 0 if "input" in request else text_tokens(completion.text + (completion.reasoning or ""))
    return replace(
        completion,
        prompt_tokens=completion.prompt_tokens or prompt_tokens(request),
        completion_tokens=completion.completion_tokens or estimated,
    )


@dataclass(slots=True)
class _TokenStatistics:
    answers: int = 0
    tokens: float = 0.0
    squares: float = 0.0


class Estimates:
    """Tokens of the answers of each model in each role, learned as they come."""

    def __init__(self) -> None:
        self._statistics: dict[tuple[str, int], _TokenStatistics] = defaultdict(_TokenStatistics)

    def learn(self, label: str, rank: int, completion: Completion) -> None:
        """Take note of an answer."""
        statistics = self._statistics[label, rank]
        statistics.answers += 1
        statistics.tokens += completion.completion_tokens
        statistics.squares += completion.completion_tokens**2

    def completion_tokens(self, label: str, rank: int, request: Request) -> int:
        """Tokens that an answer should not exceed by much: two standard deviations above the mean of some answers.

        Before there are enough of them it is the most that the request allows.
        """
        if "input" in request:
            return 0
        most = int(request.get("max_tokens") or request.get("max_completion_tokens") or 0)
        statistics = self._statistics[label, rank]
        if statistics.answers < ENOUGH_ANSWERS:
            return most or TOKENS_GUESSED
        mean = statistics.tokens / statistics.answers
        likely = math.ceil(mean + 2 * math.sqrt(max(0.0, statistics.squares / statistics.answers - mean**2)))
        return min(most, likely) if most else likely
