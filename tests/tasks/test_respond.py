"""Respond: which requests are made, under which keys, and which answers reach the judge."""

import dataclasses
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.exceptions import SecurityError
from pydantic import ValidationError

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import Answered, ChunkJob, Session, read_rows
from kasasagi.tasks.respond.answers import compile_template, conversation, questions_for, respond_chunk, sort_answers
from kasasagi.tasks.respond.checks import Checks
from kasasagi.tasks.respond.config import RespondConfig
from tests.tasks.helpers import asked, good, model, prompt, session


def config(**fields: Any) -> RespondConfig:
    return RespondConfig.model_validate({"models": ["small", "large"], **fields})


def keys(session: Session, **fields: Any) -> dict[tuple[str, int], str]:
    made = questions_for(session, config(**fields), [prompt("hello")])
    return {(one.label, one.sample_index): one.question.key for one in made}


def chunk(session: Session, config: RespondConfig, prompts: list[dict[str, Any]]) -> Handle:
    schema = PROMPTS
    for name in prompts[0]:
        if name not in PROMPTS.names:
            schema = schema.append(pa.field(name, pa.string()))
    shard = session.run.workspace.shards.write(pa.Table.from_pylist(prompts, schema))
    job = ChunkJob(stage="respond", run=session.run.id, inputs={"prompts": shard}, cache_key="")
    return respond_chunk(session, config, job)


def rows(session: Session, handle: Handle, name: str) -> list[dict[str, Any]]:
    return read_rows(session.run, handle.shards.get(name))


def test_two_labels_of_one_model_never_share_an_answer(tmp_path: Path) -> None:
    models = [{"use": "small", "label": "one"}, {"use": "small", "label": "two"}]
    found = keys(session(tmp_path), models=models, samples=3)
    assert len(set(found.values())) == 6


def test_the_samples_of_a_responder_are_sent_side_by_side_so_that_they_share_calls(tmp_path: Path) -> None:
    models = [{"use": "small", "label": "one"}, {"use": "small", "label": "two", "sampling": {"temperature": 0.3}}]
    one = session(tmp_path)
    handle = chunk(one, config(models=models, samples=2), [prompt("Why?"), prompt("How?")])
    sent = [(sent.prefix, sent.request.get("temperature")) for sent in asked(one)]
    assert sent[::2] == sent[1::2]
    assert len(set(sent)) == 4
    found = {row["call_id"]: row for row in rows(one, handle, "responses")}
    for question in questions_for(one, config(models=models, samples=2), [prompt("Why?"), prompt("How?")]):
        row = found[question.question.key]
        assert (row["prompt_id"], row["model"], row["sample_index"]) == (
            question.prompt_id,
            question.label,
            question.sample_index,
        )
        assert question.question.key[:6] in row["content"]


def test_two_names_of_one_model_never_share_an_answer(tmp_path: Path) -> None:
    models = {"a": model("same"), "b": model("same", base_url="http://127.0.0.1:2/v1")}
    found = keys(session(tmp_path, models), models=["a", "b"], samples=2)
    assert len(set(found.values())) == 4


@given(first=st.integers(1, 4), more=st.integers(1, 4))
def test_more_samples_only_add_questions(tmp_path_factory: pytest.TempPathFactory, first: int, more: int) -> None:
    one = session(tmp_path_factory.mktemp("w"))
    same = [{"use": "small", "label": "one"}, {"use": "small", "label": "two"}]
    for models in (["small", "large"], same):
        before = set(keys(one, models=models, samples=first).values())
        after = set(keys(one, models=models, samples=first + more).values())
        assert before < after


def test_one_more_model_keeps_all_earlier_keys(tmp_path: Path) -> None:
    one = session(tmp_path)
    before, after = keys(one), keys(one, models=["critic", "small", "large"])
    assert {name: after[name] for name in before} == before


def test_address_price_and_concurrency_change_no_key_and_sampling_does(tmp_path: Path) -> None:
    def found(name: str, stage: dict[str, Any] | None = None, **fields: Any) -> dict[tuple[str, int], str]:
        models = {"small": model("small", **fields), "large": model("large")}
        return keys(session(tmp_path / name, models), **(stage or {}))

    plain = found("plain")
    moved = found("moved", base_url="http://127.0.0.1:9/v1", max_concurrency=3, usd_per_million_tokens={"input": 1})
    assert moved == plain
    for name, changed in {
        "revision": found("revision", revision="2"),
        "sampling": found("sampling", sampling={"temperature": 0.1}),
        "extra": found("extra", extra_body={"top_k": 3}),
    }.items():
        assert changed["small", 0] != plain["small", 0], name
        assert changed["large", 0] == plain["large", 0], name
    for stage in ({"sampling": {"top_p": 0.5}}, {"system_prompt": "Hi."}, {"template": "{{ instruction }}!"}):
        changed = found(f"stage {stage}".replace("/", ""), stage)
        assert not set(changed.values()) & set(plain.values())


def test_sampling_is_laid_from_model_over_stage_to_responder(tmp_path: Path) -> None:
    models = {"small": model("small", sampling={"temperature": 0.1, "top_p": 0.1, "max_tokens": 1})}
    respond = config(
        models=[{"use": "small", "sampling": {"temperature": 0.3}}], sampling={"temperature": 0.2, "top_p": 0.2}
    )
    [one] = questions_for(session(tmp_path, models), respond, [prompt("hello")])
    found = {name: one.question.request[name] for name in ("temperature", "top_p", "max_tokens")}
    assert found == {"temperature": 0.3, "top_p": 0.2, "max_tokens": 1}


SYSTEM = {"role": "system", "content": "own"}


@pytest.mark.parametrize(
    ("own", "responder", "stage", "sent"),
    [
        (False, None, None, None),
        (False, None, "stage", "stage"),
        (False, "responder", "stage", "responder"),
        (False, "", "stage", None),
        (False, None, "", None),
        (True, "responder", "stage", "own"),
        (True, None, None, "own"),
    ],
)
def test_a_prompts_own_system_prompt_outranks_the_responders_and_that_the_stages(
    tmp_path: Path, own: bool, responder: str | None, stage: str | None, sent: str | None
) -> None:
    row = prompt("hello")
    row["messages"] = [SYSTEM, *row["messages"]] if own else row["messages"]
    respond = config(models=[{"use": "small", "system_prompt": responder}], system_prompt=stage)
    [one] = questions_for(session(tmp_path), respond, [row])
    messages = one.question.request["messages"]
    assert [m["content"] for m in messages if m["role"] == "system"] == ([] if sent is None else [sent])
    assert messages[-1] == {"role": "user", "content": "hello"}


def test_the_template_renders_columns_into_the_last_turn_alone() -> None:
    row = prompt("{{ 7 * 7 }}", topic="{% raw %}<b>")
    row["messages"] = [{"role": "user", "content": "{{ x }}"}, {"role": "assistant", "content": "?"}, *row["messages"]]
    sent = conversation(row, "{{ topic }}: {{ instruction }}", None)
    assert [m["content"] for m in sent] == ["{{ x }}", "?", "{% raw %}<b>: {{ 7 * 7 }}"]
    assert [m["content"] for m in conversation(row, "{{ instruction }}", None)][-1] == "{{ 7 * 7 }}"


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_data_is_never_a_template(text: str) -> None:
    [message] = conversation(prompt(text), "<{{ instruction }}>", None)
    assert message["content"] == f"<{text}>"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ instruction.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='system') }}",
        "{{ (instruction ~ '{0.__class__}').format(instruction) if false else '{0.__class__}'.format(instruction) }}",
        "{% for x in range(10**9) %}{% endfor %}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(template: str) -> None:
    with pytest.raises((SecurityError, OverflowError, TypeError)):
        compile_template(template).render(prompt("hello"))


def test_a_row_that_the_template_cannot_render_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    one = session(tmp_path)
    prompts = [prompt(f"question {n}", topic=None if n == 1 else "a topic") for n in range(4)]
    handle = chunk(one, config(template="{{ topic.upper() }} {{ instruction }}", samples=2), prompts)
    aside = rows(one, handle, "quarantine")
    assert (handle.account.rows_in, handle.account.rows_out, handle.account.quarantined) == (16, 12, 4)
    assert {(row["reason"], row["stage"]) for row in aside} == {("template", "respond")}
    assert len({row["row_id"] for row in aside}) == 4
    assert "upper" in aside[0]["detail"]
    assert handle.complete
    assert len(asked(one)) == 12


def test_every_sample_of_every_model_is_answered_once_and_reused_later(tmp_path: Path) -> None:
    prompts = [prompt("one"), prompt("two")]
    first = session(tmp_path)
    handle = chunk(first, config(samples=2), prompts)
    assert handle.account.calls_paid == handle.account.rows_out == len(asked(first)) == 8
    answers = rows(first, handle, "responses")
    assert {(row["model"], row["sample_index"]) for row in answers} == {
        ("small", 0),
        ("small", 1),
        ("large", 0),
        ("large", 1),
    }
    assert len({row["response_id"] for row in answers}) == len({row["call_id"] for row in answers}) == 8
    again = session(tmp_path, run_id="again")
    second = chunk(again, config(samples=2), prompts)
    assert not asked(again)
    assert second.shards["responses"] == handle.shards["responses"]
    assert (second.account.calls_paid, second.account.calls_reused, second.account.completion_tokens) == (0, 8, 0)
    assert all(row["reused"] and row["cost_usd"] == 0 for row in rows(again, second, "calls"))


def aside(completion: Completion, **fields: Any) -> tuple[str | None, dict[str, Any] | None]:
    """The reason for which an answer is rejected, if it is, and its quarantine row."""
    checks = Checks.of(config(models=["small"], **fields), Path(), PROMPTS)
    row = prompt("What is a magpie, and where does it live?")
    question = Question("small", "0" * 32, {})
    made = dataclasses.make_dataclass("Made", ["prompt_id", "label", "sample_index", "question"])
    result = sort_answers(
        checks, [row], [made(row["prompt_id"], "small", 0, question)], [Answered(question, completion, False)]
    )
    found = result.rows["quarantine"]
    assert result.rows_in == 1 == result.rows_out + len(found)
    return (found[0]["reason"], found[0]) if found else (None, None)


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (Completion("A magpie is a bird that lives in many countries.", finish_reason="stop"), None),
        (Completion("A magpie is", finish_reason="length"), "truncated"),
        (Completion("", finish_reason="stop"), "empty"),
        (Completion(" \n\u200b", finish_reason="stop"), "empty"),
        (Completion("<think>A bird?</think>\n", finish_reason="stop"), "empty"),
        (Completion("I'm sorry, but I can't help with that.", finish_reason="stop"), "refusal"),
        (
            Completion("カササギは鳥の一種で、多くの国に住んでいます。とても賢い鳥です。", finish_reason="stop"),
            "other_language",
        ),
        (Completion("It is a bird, I think. " * 30, finish_reason="stop"), "repetition"),
        (Completion(error="context_too_long", detail="4097"), "context_too_long"),
        (Completion(error="server_error", detail="500", transient=True), "server_error"),
    ],
)
def test_each_reason_for_which_an_answer_is_not_judged(completion: Completion, reason: str | None) -> None:
    found, row = aside(completion)
    assert found == reason
    if row is not None and completion.error:
        assert row["detail"] == completion.detail


def test_rules_can_be_dropped_but_an_error_is_never_an_answer() -> None:
    assert aside(Completion("", finish_reason="length"), rules=[])[0] is None
    assert aside(Completion(error="rejected_by_server"), rules=[])[0] == "rejected_by_server"


def test_thinking_is_no_part_of_the_answer(tmp_path: Path) -> None:
    def thinks(question: Question) -> Completion:
        return Completion("<think>birds</think>A bird.", finish_reason="stop")

    one = session(tmp_path, answer=thinks)
    handle = chunk(one, config(models=["small"]), [prompt("What is a magpie?")])
    [row] = rows(one, handle, "responses")
    assert (row["content"], row["thinking"]) == ("A bird.", "birds")


def test_equal_answers_to_one_prompt_are_judged_once(tmp_path: Path) -> None:
    def same(question: Question) -> Completion:
        return Completion("A bird." if question.label == "small" else " A bird.\n", finish_reason="stop")

    one = session(tmp_path, answer=same)
    handle = chunk(one, config(), [prompt("What is a magpie?"), prompt("What is a jay?")])
    assert [row["model"] for row in rows(one, handle, "responses")] == ["small", "small"]
    assert [row["reason"] for row in rows(one, handle, "quarantine")] == ["equal_answer"] * 2


def test_equal_answers_stay_where_no_pairs_are_made_of_them(tmp_path: Path) -> None:
    completion = Completion("A bird.", finish_reason="stop")
    one, asked_of = session(tmp_path, answer=lambda question: completion), config(samples=2)
    prompts = [prompt("What is a magpie?")]
    asked = questions_for(one, asked_of, prompts)
    answers = [Answered(each.question, completion, False) for each in asked]
    checks = Checks.of(asked_of, Path(), PROMPTS)
    kept = sort_answers(checks, prompts, asked, answers, compared=False)
    assert (kept.rows_out, kept.rows["quarantine"]) == (4, [])
    assert sort_answers(checks, prompts, asked, answers).rows_out == 1


def test_a_call_that_failed_for_now_leaves_the_chunk_incomplete(tmp_path: Path) -> None:
    def fails(question: Question) -> Completion:
        if question.label == "large":
            return Completion(error="server_error", detail="500", transient=True)
        return good(question)

    one = session(tmp_path, answer=fails)
    handle = chunk(one, config(), [prompt("hello there")])
    assert not handle.complete
    again = session(tmp_path, run_id="again")
    assert chunk(again, config(), [prompt("hello there")]).complete
    assert [question.label for question in asked(again)] == ["large"]


@pytest.mark.parametrize(
    "fields",
    [
        {"models": []},
        {"models": ["small", "small"]},
        {"models": [{"use": "small", "label": "large"}, "large"]},
        {"samples": 0},
        {"rules": ["finishd"]},
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**fields)
