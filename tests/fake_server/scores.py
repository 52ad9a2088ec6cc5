"""The answers of endpoints that give a number for a text: vLLM's two, and one of a server that is like nobody's."""

from typing import Any

from tests.fake_server.answers import text_tokens
from tests.fake_server.asks import Ask
from tests.fake_server.judge import text_rating


def scored(ask: Ask) -> dict[str, Any]:
    """The number is the judge's rating of the text less one half, so that it is no whole number."""
    text = str(ask.samples[0].prompt)
    number = text_rating(text) - 0.5
    usage = {"prompt_tokens": text_tokens(text), "completion_tokens": 0, "total_tokens": text_tokens(text)}
    if ask.endpoint == "rate":
        return {"result": {"quality": number}, "usage": usage}
    entry = {"probs": [number], "label": "LABEL_0"} if ask.endpoint == "classify" else {"score": number}
    return {"object": "list", "model": ask.model, "data": [{"index": 0, **entry}], "usage": usage}
