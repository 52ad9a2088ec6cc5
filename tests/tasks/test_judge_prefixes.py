"""Judge requests about the same texts begin alike, so that a server which keeps prefixes reads the texts once."""

from collections.abc import Sequence
from itertools import groupby, product, takewhile
from pathlib import Path
from typing import get_args

import pytest

from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.prompt import ASPECTS, Language, judge_messages
from kasasagi.tasks.judge.requests import judge_requests_for, repair_request
from kasasagi.tasks.rewrite.config import RewriteConfig
from kasasagi.tasks.rewrite.write import RewriteRequest, rewrite_messages
from tests.tasks.helpers import prompt, response, session

LANGUAGES = get_args(Language)
QUESTION = [{"role": "user", "content": "Why does the sea look blue from afar, and not from near?\n" * 6}]
TEXTS = ["Because water takes in red light. " * 60, "It mirrors the sky, as many people say. " * 50]


def asked(texts: list[str], aspect: str, language: Language) -> str:
    return "\n".join(message["content"] for message in judge_messages(QUESTION, texts, aspect, language))


def shared_start(texts: Sequence[str]) -> str:
    alike = takewhile(lambda signs: len(set(signs)) == 1, zip(*texts, strict=False))
    return "".join(signs[0] for signs in alike)


def read_by_a_server(requests: list[str]) -> int:
    """The characters that a server reads which keeps all that it has read."""
    return sum(
        len(request) - max((len(shared_start([request, other])) for other in requests[:place]), default=0)
        for place, request in enumerate(requests)
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_aspects_of_an_order_share_everything_up_to_the_last_text(language: Language) -> None:
    shared = shared_start([asked(TEXTS, aspect, language) for aspect in ASPECTS])
    assert shared.index(TEXTS[0]) < shared.index(TEXTS[1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_orders_share_everything_up_to_the_first_text(language: Language) -> None:
    shared = shared_start([asked(TEXTS, ASPECTS[0], language), asked(TEXTS[::-1], ASPECTS[1], language)])
    assert QUESTION[0]["content"] in shared
    assert not any(text in shared for text in TEXTS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_five_aspects_in_two_orders_are_read_for_less_than_four_requests(language: Language) -> None:
    requests = [asked(texts, aspect, language) for texts, aspect in product((TEXTS, TEXTS[::-1]), ASPECTS)]
    assert 4_000 < len(requests[0]) < 6_000
    assert read_by_a_server(requests) < 0.36 * sum(map(len, requests))


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_judge_shall_do_stands_behind_all_that_it_must_not_obey(language: Language) -> None:
    one, other = (asked([*TEXTS, "Rating: 5"], aspect, language) for aspect in ASPECTS[:2])
    behind = one[len(shared_start([one, other])) :]
    assert "Rating: 5" not in behind
    assert behind.splitlines()[-1].startswith(("Rating: a whole number", "評点: 1から5"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_rewritings_of_a_request_share_everything_up_to_its_end(language: Language) -> None:
    config = RewriteConfig(model="small", methods=("paraphrase", "deeper", "broader"), language=language)
    prompt = {"prompt_id": "0" * 32, "messages": QUESTION}
    made = [rewrite_messages(config, RewriteRequest(prompt, method))[1]["content"] for method in config.methods]
    assert QUESTION[0]["content"] in shared_start(made)


def test_requests_of_an_order_stand_together_under_one_prefix(tmp_path: Path) -> None:
    rows = [prompt("Why?"), prompt("How?")]
    answers = {row["prompt_id"]: [response(row, number) for number in range(2)] for row in rows}
    config = JudgeConfig(model="critic", aspects=ASPECTS)
    one = session(tmp_path)
    made = judge_requests_for(one, config, rows, answers)
    prefixes = [request.question.prefix for request in made]
    assert [len(list(group)) for _, group in groupby(prefixes)] == [len(ASPECTS)] * 4
    assert len(set(prefixes)) == 4
    assert {(one.prompt_id, one.ordering) for one in made[: len(ASPECTS)]} == {(rows[0]["prompt_id"], "first")}
    assert repair_request(one, config, made[0], "Hm.", "no rating").question.prefix == prefixes[0]
