"""Synthesize: draws are counted, never repeated, and their number depends on the recipe and the yield alone."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion, Request
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, Session, read_rows
from kasasagi.tasks.filter import FilterConfig, filter_prompts
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.counting import DRAWS_IN_A_CHUNK, chunks_of_draws, draws_wanted
from kasasagi.tasks.synthesize.draws import draws_for, prompts_from_draws, synthesize_chunk
from kasasagi.tasks.synthesize.steering import Steering
from tests.tasks.helpers import session


def source(**fields: Any) -> MagpieSource:
    wanted = {} if "target" in fields or "samples" in fields else {"samples": 10}
    return MagpieSource.model_validate({"kind": "magpie", "model": "small", "template": "<user>", **wanted, **fields})


def asked_for(one: Session, magpie: MagpieSource, chunk: int, draws: int) -> list[Question]:
    first = chunk * DRAWS_IN_A_CHUNK
    end = min(draws, first + DRAWS_IN_A_CHUNK)
    return [draw.question for draw in draws_for(one, Steering.read(magpie, Path()), first, end)]


def drawn(one: Session, magpie: MagpieSource, draws: int, chunk: int = 0) -> Handle:
    job = ChunkJob(stage="synthesize", chunk=chunk, run="run", cache_key="")
    return synthesize_chunk(one, Steering.read(magpie, Path()), job, chunks_of_draws(0, draws)[chunk])


def invents(question: Question) -> Completion:
    return Completion(f" What is {question.key[:8]}? ", finish_reason="stop", stop_reason="<end>")


@pytest.mark.parametrize("fields", [{}, {"target": 1, "samples": 1}, {"target": 0}, {"samples": -1}, {"targt": 4}])
def test_a_source_wants_a_target_or_samples(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MagpieSource.model_validate({"kind": "magpie", "model": "small", **fields})


def test_every_draw_has_a_key_of_its_own_and_more_draws_keep_them(tmp_path: Path) -> None:
    one = session(tmp_path)
    few = [question.key for question in asked_for(one, source(), 0, 10)]
    more = [question.key for chunk in range(3) for question in asked_for(one, source(), chunk, 600)]
    assert more[:10] == few
    assert len(set(more)) == 600


def test_a_round_draws_afresh_and_round_zero_is_none(tmp_path: Path) -> None:
    one = session(tmp_path)
    keys = [{question.key for question in asked_for(one, source(round=n), 0, 20)} for n in range(3)]
    assert len(set.union(*keys)) == 60
    assert keys[0] == {question.key for question in asked_for(one, source(), 0, 20)}


def test_the_prefix_is_the_template_and_what_steers(tmp_path: Path) -> None:
    one = session(tmp_path)
    [question] = asked_for(one, source(steer="Write a poem", sampling={"max_tokens": 5, "top_p": None}), 0, 1)
    defaults = {"temperature": 1.0, "stop": ("\n\n",)}
    assert dict(question.request) == {"prompt": "<user>Write a poem", "max_tokens": 5, **defaults}


def test_an_endpoint_needs_its_template_in_writing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'auto' needs"):
        asked_for(session(tmp_path), source(template="auto"), 0, 1)


class Speaker:
    """An engine that knows its chat template."""

    batch_size = 4

    def identity(self) -> str:
        return "speaker"

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return []

    def pre_query_prefix(self, system_prompt: str | None = None, steer: str = "") -> str:
        return f"<{system_prompt}>{steer}"


def spoken(tmp_path: Path) -> Session:
    from kasasagi.blocks.models.kinds import BundledModel

    made = session(tmp_path)
    bundled = BundledModel(kind="bundled")
    made.dispatcher.engine = lambda label: Speaker()  # type: ignore[method-assign]
    return dataclasses.replace(made, models={"small": bundled}, identities={"small": "speaker"})


def test_system_prompts_are_drawn_from_by_the_number_alone(tmp_path: Path) -> None:
    one = spoken(tmp_path)
    assert asked_for(one, source(template="auto"), 0, 1)[0].request["prompt"] == "<None>"
    several = source(template="auto", system_prompts=["a", "b", "c"], steer="!")
    prompts = [question.request["prompt"] for question in asked_for(one, several, 0, 90)]
    assert set(prompts) == {"<a>!", "<b>!", "<c>!"}
    assert prompts == [question.request["prompt"] for question in asked_for(one, several, 0, 90)]
    assert min(prompts.count(prefix) for prefix in set(prompts)) > 10


def test_empty_and_failed_draws_are_set_aside_and_the_others_become_prompts(tmp_path: Path) -> None:
    def some(question: Question) -> Completion:
        number = keys.index(question.key)
        if number == 1:
            return Completion(" \n", finish_reason="stop")
        if number == 2:
            return Completion(error="server_error", detail="500", transient=True)
        return invents(question)

    one = session(tmp_path, answer=some)
    steered = source(steer="Say")
    keys = [question.key for question in asked_for(one, steered, 0, 5)]
    handle = drawn(one, steered, 5)
    assert (handle.account.rows_in, handle.account.rows_out, handle.account.quarantined) == (5, 3, 2)
    assert not handle.complete
    assert [row["reason"] for row in read_rows(one.run, handle.shards["quarantine"])] == ["empty", "server_error"]
    draws = read_rows(one.run, handle.shards["draws"])
    assert [row["draw"] for row in draws] == [0, 3, 4]
    assert len({row["draw_id"] for row in draws}) == 3
    prompts = read_rows(one.run, prompts_from_draws(one, source(), [handle.shards["draws"]]))
    for draw, prompt in zip(draws, prompts, strict=True):
        assert draw["text"].startswith("Say What is ")
        assert prompt["instruction"] == draw["text"].strip()
        assert prompt["prompt_id"] == draw["prompt_id"] == prompt_id(prompt["messages"])
        assert (prompt["position"], prompt["source"], prompt["finish_reason"]) == (draw["draw"], "magpie", "stop")
        assert prompt["stop_reason"] == "<end>"


def test_a_draw_cut_at_a_word_is_told_from_one_that_ended_its_turn(tmp_path: Path) -> None:
    stops = ["user", None, "\n\n", "###"]

    def some(question: Question) -> Completion:
        number = keys.index(question.key)
        return Completion(f"Write story number {number}.", finish_reason="stop", stop_reason=stops[number])

    one = session(tmp_path, answer=some)
    keys = [question.key for question in asked_for(one, source(), 0, 4)]
    handle = drawn(one, source(), 4)
    prompts = one.run.workspace.shards.path(prompts_from_draws(one, source(), [handle.shards["draws"]]))
    config = FilterConfig(rules=[{"stopped_by": ["###"]}])
    result = filter_prompts(config, prompts, tmp_path / "filtered", tmp_path)
    kept = pq.read_table(result.prompts)["instruction"].to_pylist()
    assert kept == ["Write story number 1.", "Write story number 2.", "Write story number 3."]
    aside = pq.read_table(result.quarantine).to_pylist()
    assert [(row["reason"], row["detail"]) for row in aside] == [("stopped_by", "cut at the stop string 'user'")]


def test_a_chunk_holds_only_its_draws(tmp_path: Path) -> None:
    one = session(tmp_path, answer=invents)
    handle = drawn(one, source(samples=DRAWS_IN_A_CHUNK + 3), DRAWS_IN_A_CHUNK + 3, chunk=1)
    rows = read_rows(one.run, handle.shards["draws"])
    assert [row["draw"] for row in rows] == [DRAWS_IN_A_CHUNK, DRAWS_IN_A_CHUNK + 1, DRAWS_IN_A_CHUNK + 2]


def drawn_until(target: int, share: float) -> list[int]:
    wanted, drawn = [], 0
    while (next_ := draws_wanted(source(target=target), drawn, min(target, int(drawn * share)))) > drawn:
        wanted.append(next_)
        drawn = next_
    return wanted


@given(target=st.integers(1, 5000), share=st.floats(0.0, 1.0))
def test_drawing_ends_and_each_round_of_it_only_adds(target: int, share: float) -> None:
    wanted = drawn_until(target, share)
    assert wanted == sorted(set(wanted))
    assert wanted
    assert len(wanted) <= 12
    assert wanted[0] <= DRAWS_IN_A_CHUNK
    assert wanted[-1] <= 20 * target
    if share > 0.2 and target > 300:
        assert wanted[-1] * share <= 1.06 * target, "few more than the target takes are paid for"
    if share >= 0.1 and target >= 100:
        assert int(wanted[-1] * share) >= target


def test_samples_are_drawn_as_many_as_they_are() -> None:
    assert draws_wanted(source(samples=7), 0, 0) == 7
    assert draws_wanted(source(samples=7), 7, 0) == 7
