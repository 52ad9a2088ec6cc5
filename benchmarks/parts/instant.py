"""A model that answers at once, for benchmarks of everything but the model."""

import re
from collections.abc import Sequence

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.models.llm import Completion, Request

WORDS = ("quiet", "river", "answer", "market", "winter", "number", "garden", "letter", "signal", "bridge")
_TEXT = re.compile(r"^Text \d+\n\[(\w+)\n(.*?)\n\1\]$", re.MULTILINE | re.DOTALL)


class InstantEngine:
    """Answers every request at once with a text, or a verdict, that is drawn from the request's digest."""

    batch_size = 1024

    def identity(self) -> str:
        """Return a name of its own, so that its answers are never mistaken for a real model's."""
        return "instant"

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answers in the requests' order."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Completion:
        messages = request["messages"]
        texts = _TEXT.findall(messages[-1]["content"]) if messages[0]["role"] == "system" else []
        if texts:
            return Completion(text=_verdict([text for _, text in texts]), finish_reason="stop")
        name = digest(request)
        sentence = " ".join(WORDS[int(digit, 16) % len(WORDS)] for digit in name)
        return Completion(text=f"{name[:8]}: {sentence}.", finish_reason="stop", prompt_tokens=20, completion_tokens=40)


def _verdict(texts: Sequence[str]) -> str:
    ratings = [int(digest(text)[0], 16) % 5 + 1 for text in texts]
    sections = [
        f"#### Output for Text {number}\nRationale: drawn from its digest.\nRating: {rating}"
        for number, rating in enumerate(ratings, start=1)
    ]
    return "\n".join(sections)
