"""vLLM in this process: what it invents and answers, what it refuses, and how it gives the device up."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kasasagi.blocks.engines.kinds import engines_for
from kasasagi.blocks.engines.vllm import VLLMEngine
from kasasagi.blocks.models.kinds import ModelConfig
from kasasagi.blocks.models.llm import Request
from kasasagi.hina.world.talk import read
from kasasagi.tasks.pre_query import pre_query
from tests.blocks.helpers import dispatching, question, questions
from tests.vllm.conftest import model

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def engine() -> Iterator[VLLMEngine]:
    made = VLLMEngine(model())
    yield made
    made.close()


def draw(**fields: object) -> Request:
    begins = pre_query("auto", model())
    return {"prompt": begins.prompt(), "temperature": 1.0, "max_tokens": 96, **begins.stops(), **fields}


def cores() -> list[int]:
    living = [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
    return [one.pid for one in living if "EngineCor" in one.name()]


def test_magpie_invents_instructions_that_differ_and_end_by_themselves(engine: VLLMEngine) -> None:
    found = engine.generate([draw()] * 200)
    assert {one.error for one in found} == {None}
    assert len({one.text for one in found}) > 150
    assert sum(read(one.text.strip()) is not None for one in found) > 160
    assert sum(one.finish_reason == "stop" for one in found) > 190
    assert all(one.prompt_tokens == 2 and 0 < one.completion_tokens <= 96 for one in found)


def test_a_text_and_its_token_ids_are_the_same_prompt(engine: VLLMEngine) -> None:
    as_text = {"prompt": "<s><|user|>What is", "temperature": 0, "max_tokens": 8}
    as_ids = {**as_text, "prompt": engine.tokens(as_text)}
    first, second = engine.generate([as_text, as_ids])
    assert (first.text, first.prompt_tokens) == (second.text, second.prompt_tokens)


def test_a_chat_is_answered_and_greedy_answers_are_the_same_twice(engine: VLLMEngine) -> None:
    request = {"messages": [{"role": "user", "content": "What is 12 + 7?"}], "temperature": 0, "max_tokens": 64}
    first, second = engine.generate([request, request])
    assert first.text == second.text
    assert "19" in first.text
    assert first.finish_reason == "stop"


def test_numbers_come_with_the_probabilities_of_others_in_their_place(engine: VLLMEngine) -> None:
    chat = [{"role": "user", "content": "What is 12 + 7?"}]
    [found] = engine.generate(
        [{"messages": chat, "temperature": 0, "max_tokens": 64, "logprobs": True, "top_logprobs": 20}]
    )
    assert found.numbers
    for start, end, others in found.numbers:
        assert max(others, key=lambda name: others[name]) == found.text[start:end]
        assert 0 < sum(others.values()) <= 1.001


def test_stops_end_an_answer_even_where_they_never_show_in_a_text(engine: VLLMEngine) -> None:
    greedy: Request = {"prompt": "<s><|user|>Count the", "temperature": 0, "max_tokens": 32}
    [whole] = engine.generate([greedy])
    stop = whole.text[len(whole.text) // 2 :][:3]
    words, token = engine.generate([{**greedy, "stop": [stop]}, draw(stop=["<|end|>"], ignore_eos=True)])
    assert (words.text, words.stop_reason, words.finish_reason) == (whole.text.split(stop)[0], stop, "stop")
    assert (token.stop_reason, token.finish_reason) == ("2", "stop")


def test_what_cannot_be_answered_is_an_answer_with_a_reason(engine: VLLMEngine) -> None:
    chat = [{"role": "user", "content": "word " * 4000}]
    asked: list[Request] = [draw(frobnicate=1), draw(temperature=-1), {"messages": chat}, {"prompt": "x"}]
    found = engine.generate(asked)
    assert [one.error for one in found] == ["bad_request", "bad_request", "context_too_long", None]
    assert "frobnicate" in (found[0].detail or "")


def test_two_models_take_turns_and_an_engine_that_starts_again_draws_afresh(tmp_path: Path) -> None:
    models: dict[str, ModelConfig] = {"one": model(), "two": model(max_num_seqs=32)}
    engines = engines_for(models, tmp_path)
    with dispatching(tmp_path, models, engines) as dispatcher:
        assert all(answer.text for answer in dispatcher.ask(questions(4, "one")))
        [core] = cores()
        assert all(answer.text for answer in dispatcher.ask(questions(4, "two")))
        assert len(cores()) == 1
        assert cores() != [core]
        assert dispatcher.ask([question("What is 1 + 1?", "two", temperature=0)])[0].error is None
    assert cores() == []
