"""Dialogues of several turns: they grow turn by turn, every call is counted, and the others are quarantined."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.models.pre_query import PreQueryUnknownError
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, Session, read_rows
from kasasagi.tasks.converse.dialogue import converse_chunk
from kasasagi.tasks.converse.plan import Dialogues, TurnsError, dialogues
from kasasagi.tasks.load import DatasetSource
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.tables import table
from tests import chat_templates
from tests.tasks.helpers import asked, model, prompt, session

SEEDS = ["What is a heron?", "鷺とは何ですか。", "Name a river."]


def plan(**turns: Any) -> Dialogues:
    source = {"kind": "magpie", "model": "small", "template": "chatml", "target": 3, "sampling": {"max_tokens": 99}}
    found = dialogues(MagpieSource.model_validate({**source, "turns": {"count": 3, **turns}}))
    assert found is not None
    return found


def says(question: Question) -> Completion:
    if "messages" in question.request:
        last = question.request["messages"][-1]["content"]
        return Completion(f"{last} しかし、それは {question.key[:6]} です。", finish_reason="stop")
    return Completion(f" And what about {question.key[:6]}?\n", finish_reason="stop", stop_reason="<|im_end|>")


def seeds(texts: list[str] = SEEDS) -> list[dict[str, Any]]:
    return [prompt(text, position=place, source="magpie", finish_reason="stop") for place, text in enumerate(texts)]


def talk(one: Session, how: Dialogues, rows: list[dict[str, Any]]) -> Handle:
    shard = one.run.workspace.shards.write(
        table("prompts", rows).append_column("topic", [[f"topic {n}" for n in range(len(rows))]])
    )
    job = ChunkJob(stage="converse", run=one.run.id, inputs={"prompts": shard}, cache_key="")
    return converse_chunk(one, how, job)


def no_rules(**turns: Any) -> Dialogues:
    answers = {"rules": ["finished", "not_empty"], **turns.pop("answers", {})}
    return plan(answers=answers, **turns)


def test_every_dialogue_gets_its_turns_and_keeps_what_it_brought(tmp_path: Path) -> None:
    one = session(tmp_path, answer=says)
    handle = talk(one, no_rules(), seeds())
    rows = read_rows(one.run, handle.shards["prompts"])
    for seed, row in zip(seeds(), rows, strict=True):
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * 2 + ["user"]
        assert row["messages"][0]["content"] == seed["instruction"]
        assert row["messages"][-1]["content"] == row["instruction"]
        assert row["instruction"].startswith("And what about")
        assert row["prompt_id"] == prompt_id(row["messages"])
        assert (row["position"], row["topic"]) == (seed["position"], f"topic {seed['position']}")
        assert row["stop_reason"] == "<|im_end|>"
    assert (handle.account.rows_in, handle.account.rows_out, handle.account.calls_paid) == (3, 3, 12)
    assert handle.complete


def test_what_was_said_is_kept_with_its_calls(tmp_path: Path) -> None:
    one = session(tmp_path, answer=says)
    handle = talk(one, no_rules(), seeds())
    prompts = {row["prompt_id"]: row for row in read_rows(one.run, handle.shards["prompts"])}
    calls = {row["call_id"] for row in read_rows(one.run, handle.shards["calls"])}
    turns = read_rows(one.run, handle.shards["turns"])
    assert {row["call_id"] for row in turns} == calls
    for name, row in prompts.items():
        mine = [turn for turn in turns if turn["prompt_id"] == name]
        assert [(turn["turn"], turn["role"]) for turn in mine] == [
            (1, "assistant"),
            (2, "user"),
            (2, "assistant"),
            (3, "user"),
        ]
        assert [turn["content"] for turn in mine] == [message["content"] for message in row["messages"][1:]]
        assert {turn["seed_id"] for turn in mine} == {prompt_id(row["messages"][:1])}


def test_no_line_break_ends_a_further_turn_of_several_lines(tmp_path: Path) -> None:
    source = {"kind": "magpie", "model": "small", "template": "chatml", "target": 3, "multi_line": True}
    turns = {"count": 2, "rules": ["finished"], "answers": {"rules": ["finished"]}}
    how = dialogues(MagpieSource.model_validate({**source, "turns": turns}))
    assert how is not None

    def tabled(question: Question) -> Completion:
        return (
            says(question) if "messages" in question.request else Completion("Sort:\n\na | b\n", finish_reason="stop")
        )

    one = session(tmp_path, answer=tabled)
    rows = read_rows(one.run, talk(one, how, seeds()).shards["prompts"])
    assert [row["instruction"] for row in rows] == ["Sort:\n\na | b"] * 3
    stops = [question.request["stop"] for question in asked(one) if "prompt" in question.request]
    assert stops == [["<|im_end|>"]] * 3
    with pytest.raises(ValidationError, match=r"a line break in turns\.sampling\.stop would end them"):
        MagpieSource.model_validate({**source, "turns": {"count": 2, "sampling": {"stop": ["\n"]}}})


def test_the_next_turn_goes_on_from_all_that_was_said(tmp_path: Path) -> None:
    one = session(tmp_path, answer=says)
    talk(one, no_rules(count=2, steer="Next: "), seeds(["Who?"]))
    answer, invented = asked(one)
    reply = says(answer).text
    assert answer.request["messages"] == [{"role": "user", "content": "Who?"}]
    assert invented.request["prompt"] == (
        f"<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n{reply}<|im_end|>\n<|im_start|>user\nNext: "
    )
    assert invented.request["stop"] == ["\n\n", "<|im_end|>"]


def test_a_heading_that_steers_a_turn_is_no_part_of_it(tmp_path: Path) -> None:
    one = session(tmp_path, answer=says)
    handle = talk(one, no_rules(count=2, steer="Topic: tea\n"), seeds(["Who?"]))
    _, invented = asked(one)
    assert invented.request["prompt"].endswith("user\nTopic: tea\n")
    [row] = read_rows(one.run, handle.shards["prompts"])
    assert row["instruction"] == says(invented).text.strip()


def test_nothing_is_asked_twice_and_more_turns_only_add(tmp_path: Path) -> None:
    one = session(tmp_path, answer=says)
    talk(one, no_rules(count=2), seeds())
    assert len(asked(one)) == 6
    again = talk(one, no_rules(count=2), seeds())
    assert (len(asked(one)), again.account.calls_reused) == (6, 6)
    more = talk(one, no_rules(count=3), seeds())
    assert (len(asked(one)), more.account.calls_reused) == (12, 6)


def test_another_model_answers_with_a_system_prompt_of_its_own(tmp_path: Path) -> None:
    one = session(tmp_path, answer=says)
    answers = {"model": "large", "system_prompt": "Be brief.", "sampling": {"temperature": 0.5}}
    talk(one, no_rules(count=2, answers=answers), seeds(["Who?"]))
    answer, invented = asked(one)
    assert (answer.label, invented.label) == ("large", "small")
    assert answer.request["messages"][0] == {"role": "system", "content": "Be brief."}
    assert answer.request["temperature"] == 0.5
    assert "Be brief." not in str(invented.request["prompt"])


def test_dialogues_with_enough_turns_stay_and_a_system_prompt_of_their_own_counts(tmp_path: Path) -> None:
    one = session(tmp_path, answer=says)
    long = [{"role": role, "content": f"{role} {n}?"} for n in range(3) for role in ("user", "assistant")][:-1]
    with_system = [{"role": "system", "content": "You are a heron."}, {"role": "user", "content": "Who are you?"}]
    rows = [
        {"prompt_id": prompt_id(m), "messages": m, "instruction": m[-1]["content"], "position": n}
        for n, m in enumerate([long, with_system])
    ]
    handle = talk(one, no_rules(count=2, answers={"system_prompt": "Be brief."}), rows)
    kept, grown = read_rows(one.run, handle.shards["prompts"])
    assert (kept["prompt_id"], kept["messages"]) == (rows[0]["prompt_id"], long)
    assert grown["messages"][0] == with_system[0]
    answer, invented = asked(one)
    assert answer.request["messages"] == with_system
    assert str(invented.request["prompt"]).startswith("<|im_start|>system\nYou are a heron.<|im_end|>")


def fails(answer: Completion | None = None, turn: Completion | None = None) -> Callable[[Question], Completion]:
    def reply(question: Question) -> Completion:
        failing = answer if "messages" in question.request else turn
        return failing if failing is not None and "heron" in str(question.request) else says(question)

    return reply


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (fails(answer=Completion("A bird", finish_reason="length")), "answer_truncated"),
        (fails(answer=Completion("", finish_reason="stop")), "answer_empty"),
        (fails(answer=Completion("A bird.<|im_end|>", finish_reason="stop")), "template_mark"),
        (fails(answer=Completion(error="context_too_long", detail="too long")), "context_too_long"),
        (fails(turn=Completion(" \n ", finish_reason="stop")), "empty"),
        (fails(turn=Completion("And why is", finish_reason="length")), "finished"),
        (fails(turn=Completion("?", finish_reason="stop")), "min_chars"),
        (fails(turn=Completion(error="refused_by_server", detail="no")), "refused_by_server"),
    ],
)
def test_a_dialogue_that_cannot_go_on_is_set_aside_and_the_others_go_on(
    tmp_path: Path, reply: Callable[[Question], Completion], reason: str
) -> None:
    one = session(tmp_path, answer=reply)
    handle = talk(one, no_rules(), seeds())
    assert [row["reason"] for row in read_rows(one.run, handle.shards["quarantine"])] == [reason]
    assert [row["position"] for row in read_rows(one.run, handle.shards["prompts"])] == [1, 2]
    assert handle.complete


TELLS = "Write to taro.yamada@gmail.com about the heron."


@pytest.mark.parametrize(
    ("reply", "turns", "quarantined"),
    [
        (fails(turn=Completion(TELLS, finish_reason="stop")), {}, True),
        (fails(answer=Completion(TELLS, finish_reason="stop")), {}, True),
        (fails(turn=Completion(TELLS, finish_reason="stop")), {"rules": [{"personal_data": "phone"}]}, False),
        (fails(turn=Completion(TELLS, finish_reason="stop")), {"rules": [{"personal_data": False}]}, False),
    ],
)
def test_the_filters_rule_on_personal_data_holds_for_later_turns_unless_their_rules_name_it(
    tmp_path: Path, reply: Callable[[Question], Completion], turns: dict[str, Any], quarantined: bool
) -> None:
    answers = {"rules": ["finished"]}
    source = {"kind": "dataset", "path": "p.jsonl", "turns": {"count": 2, "model": "small", "template": "chatml"}}
    wanted = DatasetSource.model_validate({**source, "turns": {**source["turns"], "answers": answers, **turns}})
    how = dialogues(wanted, ["finished", {"min_chars": 3}, "personal_data", "mine.no_personal_data"])
    assert how is not None
    one = session(tmp_path, answer=reply)
    aside = read_rows(one.run, talk(one, how, seeds()).shards.get("quarantine"))
    assert [row["reason"] for row in aside] == ["personal_data"] * quarantined
    assert not any("taro" in str(row["detail"]) for row in aside)


def by_its_own_template(folder: Path, template: str) -> Session:
    """A session whose model has a tokenizer with that chat template."""
    tokenizer = str(chat_templates.write_tokenizer(folder / "tokenizer", template))
    return session(folder / "ws", {"small": model("small", tokenizer=tokenizer)}, says)


def test_a_dialogue_that_a_chat_template_refuses_costs_no_other_one(tmp_path: Path) -> None:
    one = by_its_own_template(tmp_path, chat_templates.GEMMA)
    twice = [{"role": "user", "content": "Name a river."}, {"role": "user", "content": "And a lake."}]
    row = {"prompt_id": prompt_id(twice), "messages": twice, "instruction": "And a lake.", "position": 9}
    handle = talk(one, no_rules(template="auto"), [*seeds(), row])
    [aside] = read_rows(one.run, handle.shards["quarantine"])
    assert (aside["row_id"], aside["reason"]) == (row["prompt_id"], "template_refused")
    assert "Roles must take turns" in aside["detail"]
    assert [kept["position"] for kept in read_rows(one.run, handle.shards["prompts"])] == [0, 1, 2]


def test_a_chat_template_without_further_turns_is_said_before_anybody_answers(tmp_path: Path) -> None:
    single = "{{ raise_exception('one turn') if messages | length > 1 }}<|user|>{{ messages[0].content }}<|end|>"
    one = by_its_own_template(tmp_path, single)
    with pytest.raises(PreQueryUnknownError, match=r"source\.turns: the chat template of 'small'.*\(.*one turn\)"):
        talk(one, no_rules(template="auto"), seeds())
    assert asked(one) == []


def test_a_passing_failure_leaves_the_chunk_incomplete(tmp_path: Path) -> None:
    one = session(tmp_path, answer=fails(answer=Completion(error="server_error", detail="500", transient=True)))
    handle = talk(one, no_rules(), seeds())
    assert (handle.complete, handle.account.quarantined) == (False, 1)


def test_a_text_as_template_has_no_place_for_earlier_turns(tmp_path: Path) -> None:
    one = session(tmp_path, answer=says)
    with pytest.raises(PreQueryUnknownError, match="earlier turns"):
        talk(one, no_rules(template="<user>"), seeds())


def test_prompts_of_a_dataset_need_a_model_that_plays_the_user() -> None:
    wanted: dict[str, Any] = {"kind": "dataset", "path": "p.jsonl"}
    with pytest.raises(TurnsError, match=r"source\.turns"):
        dialogues(DatasetSource.model_validate({**wanted, "turns": {"count": 2}}))
    found = dialogues(DatasetSource.model_validate({**wanted, "turns": {"count": 2, "model": "small"}}))
    assert found is not None
    assert (found.model, found.answerer, found.template) == ("small", "small", "auto")
    assert dialogues(DatasetSource.model_validate(wanted)) is None


def test_one_turn_is_no_dialogue() -> None:
    source = {"kind": "magpie", "model": "small", "template": "chatml", "target": 3}
    assert dialogues(MagpieSource.model_validate(source)) is None
    assert dialogues(MagpieSource.model_validate({**source, "turns": 1})) is None
    found = dialogues(MagpieSource.model_validate({**source, "turns": 2, "round": 4}))
    assert found is not None
    assert (found.count, found.model, found.round) == (2, "small", 4)
