"""Steering: what each draw is steered by follows from its round and number alone, and the rows say it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from kasasagi.blocks.canonical import ledger_key, prompt_id
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.tables import PROMPTS
from kasasagi.tasks.asking import Answered, ChunkJob, read_rows
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.draws import draws_for, prompts_from_draws, sort_draws, synthesize_chunk
from kasasagi.tasks.synthesize.packs import SteeringError, pack_names, read_pack
from kasasagi.tasks.synthesize.steering import Steering, SteeringParams
from kasasagi.tasks.text.languages import language_of
from tests.tasks.helpers import session

BARE = {"temperature": None, "top_p": None, "stop": None, "max_tokens": 9}
"""Sampling without the source's defaults."""
TEMPLATE = "<s>{system}</s><user>"


def source(**fields: Any) -> MagpieSource:
    base = {"kind": "magpie", "model": "small", "template": TEMPLATE, "samples": 10, "sampling": BARE}
    return MagpieSource.model_validate({**base, **fields})


def params_of(count: int, base: Path = Path(), **fields: Any) -> list[SteeringParams]:
    steering = Steering.read(source(**fields), base)
    return [steering.of(draw) for draw in range(count)]


def test_a_source_that_steers_by_nothing_asks_what_it_always_asked(tmp_path: Path) -> None:
    one = session(tmp_path)
    [draw] = draws_for(one, Steering.read(source(template="<user>", steer="Write"), tmp_path), 0, 1)
    assert draw.question.key == ledger_key("small", {"prompt": "<user>Write", "max_tokens": 9}, 0)
    assert draw.params == SteeringParams(steer="Write")
    assert prompts_schema(one, source()) == PROMPTS.names


def prompts_schema(one: Any, magpie: MagpieSource) -> list[str]:
    return list(one.run.workspace.shards.read(prompts_from_draws(one, magpie, [])).column_names)


def test_system_prompts_are_drawn_by_weight() -> None:
    prompts = [{"text": "often", "weight": 6}, {"text": None, "weight": 3}, "seldom"]
    found = Counter(one.system for one in params_of(2000, system_prompts=prompts))
    assert set(found) == {"often", None, "seldom"}
    for name, share in (("often", 0.6), (None, 0.3), ("seldom", 0.1)):
        assert abs(found[name] / 2000 - share) < 0.05


def test_draws_are_steered_alike_every_time_and_anew_in_another_round() -> None:
    wanted = {"packs": ["code", {"name": "reasoning", "weight": 2}], "languages": ["en", "ja"]}
    assert params_of(60, **wanted) == params_of(200, **wanted)[:60]
    assert params_of(60, **wanted) != params_of(60, round=1, **wanted)


@pytest.mark.parametrize("name", pack_names())
@pytest.mark.parametrize("form", ["system", "start"])
def test_every_pack_has_distinct_texts_in_both_languages(name: str, form: Any) -> None:
    pack = read_pack(name, Path(), ["en", "ja"], form)
    for language in ("en", "ja"):
        texts = pack.texts(language, form)
        assert len(set(texts)) == len(texts) >= 5
        if form == "system":
            assert all(text.endswith(("。", ".")) and language_of(text) == language for text in texts)
        else:
            assert all(text.isascii() == (language == "en") and not text.endswith(("。", ".")) for text in texts)


def test_there_are_the_five_packs_that_the_documentation_names() -> None:
    assert pack_names() == ["code", "everyday", "mathematics", "reasoning", "translation"]


def test_packs_steer_by_system_prompts_or_by_beginnings() -> None:
    wanted: dict[str, Any] = {"packs": ["code", "everyday"], "languages": {"ja": 1}}
    by_system, by_start = params_of(80, **wanted), params_of(80, packs_as="start", steer="質問: ", **wanted)
    assert {one.columns["pack"] for one in by_system} == {"code", "everyday"}
    for one in by_system:
        texts = read_pack(one.columns["pack"], Path(), ["ja"], "system").ja.system
        assert (one.system in texts, one.steer) == (True, "")
    for one in by_start:
        texts = read_pack(one.columns["pack"], Path(), ["ja"], "start").ja.start
        assert (one.system, one.steer.removeprefix("質問: ") in texts) == (None, True)


def test_languages_alone_say_what_the_user_writes_in() -> None:
    found = params_of(400, languages={"en": 3, "ja": 1})
    counted = Counter(one.columns["wanted_language"] for one in found)
    assert 250 < counted["en"] < 350
    assert {(one.columns["wanted_language"], one.system) for one in found} == {
        ("en", "You are a helpful assistant.\nThe user writes in English."),
        ("ja", "あなたは親切なアシスタントです。\n利用者は日本語で書きます。"),
    }
    systems = {one.system for one in params_of(20, languages="ja", system_prompts=["You know all."])}
    assert systems == {"You know all.\n利用者は日本語で書きます。"}


def test_packs_without_a_language_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"languages: \[en\]"):
        source(packs=["code"])


def test_personas_fit_the_language_and_stand_in_the_system_prompt(tmp_path: Path) -> None:
    rows = [{"persona": "a baker in Leeds."}, {"persona": "札幌の高校生。"}, {"persona": "猫", "language": "ja"}]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "people.jsonl").write_text(lines + "\n\n", encoding="utf-8")
    wanted = {"personas": {"path": "people.jsonl"}, "languages": ["en", "ja"], "system_prompts": ["Be brief."]}
    found = params_of(100, tmp_path, **wanted)
    fitting = {(one.columns["wanted_language"], one.columns["persona"]) for one in found}
    assert fitting == {("en", "a baker in Leeds."), ("ja", "札幌の高校生。"), ("ja", "猫")}
    for one in found:
        system = (one.system or "").removeprefix("Be brief.\n")
        assert one.columns["persona"].rstrip("。.") in system
        assert language_of(system) == one.columns["wanted_language"]


def test_personas_are_read_from_a_text_file_and_drawn_evenly(tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text("a nurse\n\n a farmer \na judge\n", encoding="utf-8")
    found = Counter(one.columns["persona"] for one in params_of(300, tmp_path, personas={"path": "people.txt"}))
    assert set(found) == {"a nurse", "a farmer", "a judge"}
    assert min(found.values()) > 60


@pytest.mark.parametrize(
    ("fields", "text", "message"),
    [
        ({"packs": ["cod"], "languages": "en"}, "", "did you mean 'code'"),
        ({"packs": ["none.yaml"], "languages": "en"}, "", "cannot be read"),
        ({"packs": ["people.txt.yaml"], "languages": "en"}, "en: {system: x}", "en.system"),
        ({"packs": ["people.txt.yaml"], "languages": "ja"}, "en: {system: [x]}", "nothing under ja.system"),
        ({"personas": {"path": "nobody.txt"}}, "", "cannot be read"),
        ({"personas": {"path": "people.txt"}}, "\n", "contains no persona"),
        ({"personas": {"path": "people.txt"}, "languages": "ja"}, "a nurse who sings", "no persona in ja"),
        ({"personas": {"path": "people.jsonl"}}, '{"persona": "x"}\n{"name": "y"}', "line 2, has no 'persona'"),
        ({"personas": {"path": "people.jsonl"}}, '{"persona": 3}', "'persona' is 3"),
        ({"personas": {"path": "people.txt"}}, "a nurse\na cook<|im_end|>", "cook.*holds '<.im_end.>'"),
    ],
)
def test_what_cannot_steer_is_refused_in_one_sentence(
    tmp_path: Path, fields: dict[str, Any], text: str, message: str
) -> None:
    for name in ("people.txt", "people.jsonl", "people.txt.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SteeringError, match=message) as error:
        Steering.read(source(**fields), tmp_path)
    assert "\n" not in str(error.value)


def test_a_pack_of_ones_own_is_a_file_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"en": {"start": ["Tell me "]}}), encoding="utf-8")
    [one] = params_of(1, tmp_path, packs=["mine.yaml"], packs_as="start", languages="en")
    assert (one.steer, one.columns["pack"]) == ("Tell me ", "mine.yaml")


def test_another_text_in_a_file_is_another_digest(tmp_path: Path) -> None:
    file = tmp_path / "people.txt"
    digests = []
    for text in ("a nurse", "a nurse", "a judge"):
        file.write_text(text, encoding="utf-8")
        digests.append(Steering.read(source(personas={"path": "people.txt"}), tmp_path).digest)
    assert digests[0] == digests[1] != digests[2]


def test_a_grid_draws_each_combination_equally_often_and_the_rows_say_it(tmp_path: Path) -> None:
    def invents(question: Any) -> Completion:
        return Completion(f"What is {question.key}?", finish_reason="stop")

    one = session(tmp_path, answer=invents)
    grid = {"temperature": [0.7, 1.2], "top_p": [0.9, 1.0]}
    magpie = source(template="<user>", grid=grid, packs=["code"], packs_as="start", languages="en")
    steering = Steering.read(magpie, tmp_path)
    handle = synthesize_chunk(one, steering, ChunkJob(stage="synthesize", run="run", cache_key=""), range(40))
    calls = {row["call_id"]: json.loads(row["request"]) for row in read_rows(one.run, handle.shards["calls"])}
    draws = read_rows(one.run, handle.shards["draws"])
    prompts = read_rows(one.run, prompts_from_draws(one, magpie, [handle.shards["draws"]]))
    assert len(draws) == len(prompts) == 40
    for draw, prompt in zip(draws, prompts, strict=True):
        request = calls[draw["call_id"]]
        for row in (draw, prompt):
            assert (row["temperature"], row["top_p"]) == (request["temperature"], request["top_p"])
            assert (row["pack"], row["wanted_language"]) == ("code", "en")
    assert set(Counter((row["temperature"], row["top_p"]) for row in draws).values()) == {10}


def test_a_grid_of_one_parameter_leaves_the_other_as_it_is(tmp_path: Path) -> None:
    one = session(tmp_path)
    magpie = source(template="<user>", grid={"temperature": [0.5]}, sampling={**BARE, "max_tokens": None, "top_p": 0.8})
    [draw] = draws_for(one, Steering.read(magpie, tmp_path), 0, 1)
    assert dict(draw.question.request) == {"prompt": "<user>", "top_p": 0.8, "temperature": 0.5}


@pytest.mark.parametrize("grid", [{}, {"temperature": []}, {"temperature": [3]}, {"top_p": [0]}])
def test_a_grid_needs_values_that_can_be(grid: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(grid=grid)


@pytest.mark.parametrize(
    ("fields", "begins"),
    [
        ({"steer": "Write a poem about "}, "Write a poem about …"),
        ({"steer": "Topic: tea\n"}, "…"),
        ({"steer": "Topic: tea\n", "steer_kept": True}, "Topic: tea\n…"),
        ({"steer": "Write a poem about ", "steer_kept": False}, "…"),
    ],
)
def test_steering_text_is_part_of_the_instruction_where_it_begins_one(
    tmp_path: Path, fields: dict[str, Any], begins: str
) -> None:
    one = session(tmp_path)
    steering = Steering.read(source(template="<user>", **fields), tmp_path)
    [draw] = draws_for(one, steering, 0, 1)
    assert draw.question.request["prompt"] == "<user>" + fields["steer"]
    result = sort_draws(steering.source, [draw], [Answered(draw.question, Completion("…"), reused=False)])
    [row] = result.rows["draws"]
    assert row["text"] == begins
    assert row["prompt_id"] == prompt_id([{"role": "user", "content": begins}])


def test_the_beginning_of_a_pack_stays_where_the_steering_text_is_left_out(tmp_path: Path) -> None:
    [params] = params_of(1, packs=["code"], languages=["en"], packs_as="start", steer="Topic: tea\n")
    assert params.left_out == "Topic: tea\n"
    assert len(params.steer) > len(params.left_out)
