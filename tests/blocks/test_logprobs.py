"""Log probabilities as servers give them: which other numbers could have stood where a reply has one."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kasasagi.blocks.endpoints.adapted_requests import Adaptation
from kasasagi.blocks.endpoints.event_replies import joined_events
from kasasagi.blocks.endpoints.openai import read_reply
from kasasagi.blocks.engines.vllm import _completion
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.logprobs import LOGPROBS, Token, number_places, read_numbers

ODDS = {"4": 0.75, "3": 0.25}


def tokens(texts: Sequence[str], odds: Mapping[str, Mapping[str, float]]) -> list[Token]:
    """Tokens of which some have alternatives."""
    return [Token(text, [(one, math.log(odd)) for one, odd in odds.get(text, {}).items()]) for text in texts]


def content(texts: Sequence[str], odds: Mapping[str, Mapping[str, float]], with_bytes: bool = True) -> Any:
    """The same as OpenAI's servers send it."""

    def entry(text: str, odd: float) -> dict[str, Any]:
        return {"token": text, "logprob": math.log(odd), "bytes": list(text.encode()) if with_bytes else None}

    return {
        "content": [
            {**entry(text, 0.75), "top_logprobs": [entry(*one) for one in odds.get(text, {text: 0.75}).items()]}
            for text in texts
        ]
    }


@pytest.mark.parametrize(
    ("text", "pieces", "place"),
    [
        ("Rating: 4", ["Rating", ":", " ", "4"], 8),
        ("Rating: 4", ["Rating", ":", "4"], 8),  # a server that leaves blanks out
        ("Rating: 4", ["▁Rating", ":", "4", "</s>"], 8),  # a piece of the tokenizer, and the mark of the end
        ("Rating: 4\n", ["Rating:", "4"], 8),
        ("Rating: 4", ["Hm", ".", " ", "4", "?", "Rating", ":", "4"], 8),  # the thinking before it is no text
        ("Rating: 4", ["Rating", ":", " 4", ".", "Rating", ":", "4"], 8),  # thinking that says the same
        ("評点：4", ["\ufffd", "\ufffd", "点", "：", "4"], 3),  # a character in two tokens
        ("評価: 4点", ["評価", ":", "4", "点"], 4),
    ],
)
def test_numbers_are_found_whatever_the_tokens_look_like(text: str, pieces: list[str], place: int) -> None:
    assert number_places(text, tokens(pieces, {"4": ODDS}))[-1] == [place, place + 1, ODDS]


def test_a_token_may_hold_more_than_the_number() -> None:
    odds = {" 4\n": {" 4\n": 0.5, " 3\n": 0.25, "▁5.": 0.125, " good": 0.125}}
    found = number_places("Rating: 4\nText", tokens(["Rating", ":", " 4\n", "Text"], odds))
    assert found == [[8, 9, {"4": 0.5, "3": 0.25, "5": 0.125, "": 0.125}]]


def test_equal_numbers_count_together_and_small_odds_are_left_out() -> None:
    odds = {"４": {"４": 0.5, "4": 0.25, " 4": 0.125, "5": 0.00001}}
    assert number_places("評点：４", tokens(["評点", "：", "４"], odds)) == [[3, 4, {"4": 0.875}]]


def test_a_number_of_two_tokens_has_two_places() -> None:
    odds = {"1": {"1": 0.5, "9": 0.5}, "0": {"0": 0.75, "\n": 0.25}}
    found = number_places("Rating: 10", tokens(["Rating", ":", " ", "1", "0"], odds))
    assert found == [[8, 9, {"1": 0.5, "9": 0.5}], [9, 10, {"0": 0.75, "": 0.25}]]


@pytest.mark.parametrize("pieces", [["token_id:71", "token_id:9"], ["Rating", ":", " ", "5"], []])
def test_tokens_of_another_text_give_no_numbers(pieces: list[str]) -> None:
    assert number_places("Rating: 4", tokens(pieces, {"5": ODDS})) == []


@pytest.mark.parametrize("with_bytes", [True, False])
def test_the_form_of_openai_is_read(with_bytes: bool) -> None:
    given = content(["Rating", ":", " ", "4"], {"4": ODDS}, with_bytes)
    assert read_numbers("Rating: 4", given) == [[8, 9, ODDS]]


def test_bytes_say_what_cut_characters_are() -> None:
    given = content(["Rating", ":", " "], {})
    whole = "４".encode()
    cut = [
        {"token": "\ufffd", "bytes": list(part), "logprob": -0.1, "top_logprobs": []} for part in (whole[:2], whole[2:])
    ]
    given["content"] += cut
    assert read_numbers("Rating: ４", given) == []
    given["content"][-1]["top_logprobs"] = [{"token": "4", "bytes": [52], "logprob": math.log(0.5)}]
    assert read_numbers("Rating: ４", given) == [], "the last part of a character is no number by itself"


def test_the_form_of_completions_is_read() -> None:
    logprobs = {
        "tokens": ["Rating", ":", " 4"],
        "token_logprobs": [-0.1, -0.1, math.log(0.75)],
        "top_logprobs": [{"Rating": -0.1}, {":": -0.1}, {" 3": math.log(0.25)}],
    }
    assert read_numbers("Rating: 4", logprobs) == [[8, 9, {"3": 0.25, "4": 0.75}]]


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        [],
        "none",
        {"content": None},
        {"content": []},
        {"content": [{"token": "4"}]},
        {"content": [{"token": "4", "logprob": -0.1, "top_logprobs": []}]},
        {"content": ["4"]},
        {"tokens": ["4"], "token_logprobs": [], "top_logprobs": [{}]},
        {"tokens": ["4"], "token_logprobs": [-0.1]},
    ],
)
def test_what_says_nothing_about_alternatives_is_none_given(logprobs: Any) -> None:
    assert read_numbers("4", logprobs) is None


def reply(text: str, logprobs: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop", "logprobs": logprobs}]}


def test_a_reply_keeps_its_numbers_and_so_does_the_ledger(tmp_path: Path) -> None:
    body = reply("Rating: 4", content(["Rating", ":", " ", "4"], {"4": ODDS}))
    completion = read_reply(json.dumps(body).encode())
    assert completion.numbers == [[8, 9, ODDS]]
    ledger = Ledger(tmp_path)
    key = "0" * 32
    ledger.append([LedgerEntry(key, "critic", completion)])
    assert Ledger(tmp_path).known([key]) == {key: completion}
    assert read_reply(json.dumps(reply("Rating: 4", None)).encode()).numbers is None


def test_the_engine_of_vllm_gives_numbers_too() -> None:
    """The fields are those of vLLM's outputs: a list of mappings from token ids to log probabilities."""

    def logprob(text: str | None, odd: float) -> SimpleNamespace:
        return SimpleNamespace(decoded_token=text, logprob=math.log(odd), rank=1)

    logprobs = [{7: logprob("Rating:", 0.9)}, {8: logprob(" 4", 0.75), 9: logprob(" 3", 0.25)}, {2: logprob(None, 0.9)}]
    made = {"text": "Rating: 4", "finish_reason": "stop", "stop_reason": None, "token_ids": [7, 8, 2]}
    for given, numbers in ((logprobs, [[8, 9, ODDS]]), (None, None)):
        reply = SimpleNamespace(**made, logprobs=given)
        assert _completion(SimpleNamespace(outputs=[reply], prompt_token_ids=[1])).numbers == numbers


def test_events_bring_their_log_probabilities_piece_by_piece() -> None:
    given = content(["Rating", ":", " ", "4"], {"4": ODDS})["content"]
    events = [
        {"choices": [{"index": 0, "delta": {"content": one["token"]}, "logprobs": {"content": [one]}}]} for one in given
    ]
    lines = [*(json.dumps(event) for event in events), "[DONE]"]
    body = joined_events("\n\n".join(f"data: {line}" for line in lines).encode())
    assert read_reply(body).numbers == [[8, 9, ODDS]]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "top_logprobs must be less than or equal to 5"),
        (400, "Logprobs is not enabled for models/some-model"),
        (400, "Requested sample logprobs of 20, which is greater than max allowed: 5"),
        (403, "You are not allowed to request logprobs from this model"),
        (422, "5 is greater than the maximum of 1 - 'logprobs'"),
    ],
)
def test_a_server_that_refuses_log_probabilities_is_asked_for_fewer_and_then_for_none(status: int, words: str) -> None:
    adaptation, request, sent = Adaptation(), {"max_tokens": 9, **LOGPROBS}, []
    for _ in range(4):
        sent.append({name: value for name, value in adaptation.apply(request).items() if "logprobs" in name})
        assert adaptation.apply(request)["max_tokens"] == 9
        if sent[-1]:
            assert adaptation.learn(status, words, adaptation.apply(request))
    assert sent == [dict(LOGPROBS), {"logprobs": True, "top_logprobs": 5}, {"logprobs": 5}, {}]
    assert len(adaptation.notes()) == 3
    assert not adaptation.remedies("critic")
    assert not adaptation.learn(status, words, adaptation.apply(request)), "nothing is left to leave out"


def test_many_refusals_of_equal_calls_are_one_lesson() -> None:
    adaptation, request = Adaptation(), dict(LOGPROBS)
    for _ in range(5):
        assert adaptation.learn(400, "top_logprobs must be at most 5", request)
    assert adaptation.copy().apply(request)["top_logprobs"] == 5


@pytest.mark.parametrize(
    ("status", "words", "body"),
    [
        (500, "logprobs failed", dict(LOGPROBS)),
        (400, "the messages are too long", dict(LOGPROBS)),
        (400, "logprobs is not supported", {"max_tokens": 9}),
        (400, "invalid: {'messages': [], 'logprobs': True}", dict(LOGPROBS)),
    ],
)
def test_other_refusals_leave_the_log_probabilities_in(status: int, words: str, body: dict[str, Any]) -> None:
    adaptation = Adaptation()
    assert not adaptation.learn(status, words, body)
    assert adaptation.apply(body) == body
