"""Replies of models that the question alone decides: the words of the tests' fake server, without a server."""

import orjson

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.embeddings import pack
from kasasagi.blocks.models.llm import Completion
from tests.fake_server import ServerConfig
from tests.fake_server.answers import embedding, instruction, sentences, text_tokens
from tests.fake_server.asks import KANA, sample_digest
from tests.fake_server.judge import judge_reply
from tests.fake_server.labeller import labeller_reply
from tests.fake_server.words import Language

CONFIG = ServerConfig(judge_unreadable=0.1, judge_position_bias=0.2, labeller_unreadable=0.1)


def answer(question: Question) -> Completion:
    """Return the reply to a question: a vector, an invented instruction, a label, a rating or a response."""
    request = question.request
    if "input" in request:
        return Completion(text=pack(embedding(str(request["input"]))), prompt_tokens=text_tokens(str(request["input"])))
    asked = orjson.dumps(request.get("messages") or request.get("prompt")).decode()
    text = _text(question, "ja" if KANA.search(asked) else "en")
    asks, says = text_tokens(asked), text_tokens(text)
    return Completion(text=text, finish_reason="stop", prompt_tokens=asks, completion_tokens=says)


def _text(question: Question, language: Language) -> str:
    if "messages" not in question.request:
        return _sum(question.key) if question.label == "hina" else instruction(question.key, language)
    body = {"model": question.label, **question.request}
    digest, messages = sample_digest(body), body["messages"]
    reply = judge_reply(messages, digest, CONFIG, "response_format" in body)
    reply = reply or labeller_reply(messages, digest, CONFIG)
    return reply or sentences(question.key, language)


def _sum(name: str) -> str:
    """Return a question that the quickstart's own rule lets pass."""
    number = int(name[:4], 16)
    return f"Take {number % 50} away from {50 + number // 50 % 50}."
