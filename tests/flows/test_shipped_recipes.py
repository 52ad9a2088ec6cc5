"""The recipes that travel with kasasagi: each is sound, and the two that retell a published method ask as it did."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kasasagi.flows.recipe.loading import load_recipe, shipped_recipes
from kasasagi.hina.world.oracle import task_of
from kasasagi.tasks.filter import filter_prompts
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.draws import draws_for
from kasasagi.tasks.synthesize.steering import Steering
from tests.tasks.helpers import model, prompt, session


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_a_shipped_recipe_is_sound_and_says_what_it_is(name: str) -> None:
    found = load_recipe(name)
    assert found.recipe.name == name
    assert found.file is not None
    assert found.file.read_text(encoding="utf-8").startswith("# ")
    assert load_recipe(name).recipe.plain() == found.recipe.plain()


def test_the_quickstart_takes_no_question_without_an_answer(tmp_path: Path) -> None:
    loaded = load_recipe("quickstart")
    texts = [
        "Which does not belong: plane, potato, cat? Say why.",
        "Which does not belong: dog, cat, potato? Say why.",
        "タイとタイは同じ大陸の国ですか。理由も答えてください。",
        "What is the capital of France?",
        "二十 Viる手順の最初の3つを挙げてください。",
        "10から3を引いてください。",
        "Take 24 away from 23.",
    ]
    rows = [
        {**prompt(text), "position": place, "source": "magpie", "finish_reason": "stop", "stop_reason": None}
        for place, text in enumerate(texts)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "prompts.parquet")
    config, rules = loaded.recipe.filter, loaded.recipe.default_rules
    result = filter_prompts(config, tmp_path / "prompts.parquet", tmp_path / "out", loaded.base, rules)
    kept = [texts[place] for place in pq.read_table(result.prompts)["position"].to_pylist()]
    assert "What is the capital of France?" in kept
    assert {row["reason"] for row in pq.read_table(result.quarantine).to_pylist()} == {"has_an_answer"}
    assert all(task_of(text) for text in kept)
    assert len(kept) < len(texts) - 2


def test_tanuki_ja_draws_as_the_script_did(tmp_path: Path) -> None:
    source = load_recipe("tanuki-ja").recipe.source
    assert isinstance(source, MagpieSource)
    one = session(tmp_path, models={"tanuki": model("tanuki")})
    [draw] = draws_for(one, Steering.read(source, tmp_path), 0, 1)
    request = dict(draw.question.request)
    stops = request.pop("stop")
    assert stops[:5] == ["\n\n", "###", "assistant", "user", "<EOD>"]
    assert request == {
        "prompt": "以下は、タスクを説明する指示です。要求を適切に満たす応答を書きなさい。\n\n### 指示:\n",
        "temperature": 1.0,
        "top_p": 1.0,
        "max_tokens": 1024,
        "repetition_penalty": 1.1,
    }
    assert source.samples == 10_000


def test_tanuki_ja_keeps_what_the_script_kept_but_for_what_no_model_can_answer(tmp_path: Path) -> None:
    loaded = load_recipe("tanuki-ja")
    cases = [
        ("日本の首都はどこですか。", "stop"),
        ("日本の首都はどこですか？", "stop"),
        ("What is the capital?", "stop"),
        ("日本の首都はどこですか", "stop"),
        ("すごいですねえ、ほんとうに！", "stop"),
        ("首都は。", "stop"),
        ("日本の首都を教えてください。", "length"),
        ("あなたの家の周りの植物は、花粉媒介者としてどのような昆虫を引き寄せますか？", "stop"),
        ("現在進行中のプロジェクトの進捗状況を報告してください。", "stop"),
    ]
    rows = [
        {**prompt(text), "position": place, "source": "magpie", "finish_reason": reason, "stop_reason": None}
        for place, (text, reason) in enumerate(cases)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "prompts.parquet")
    config, rules = loaded.recipe.filter, loaded.recipe.default_rules
    result = filter_prompts(config, tmp_path / "prompts.parquet", tmp_path / "out", loaded.base, rules)
    assert pq.read_table(result.prompts)["position"].to_pylist() == [0, 1, 2]
    aside = pq.read_table(result.quarantine).to_pylist()
    assert [(row["position"], row["reason"]) for row in aside] == [
        (3, "ends"),
        (4, "ends"),
        (5, "min_chars"),
        (6, "finished"),
        (7, "private_life"),
        (8, "missing_context"),
    ]


def test_magpie_dpo_answers_five_times_and_pairs_the_best_with_the_worst(tmp_path: Path) -> None:
    recipe = load_recipe("magpie-dpo").recipe
    source = recipe.source
    assert isinstance(source, MagpieSource)
    one = session(tmp_path, models={"writer": model("writer")})
    [draw] = draws_for(one, Steering.read(source, tmp_path), 0, 1)
    assert draw.question.request["stop"] == ["<|eot_id|>"]
    assert str(draw.question.request["prompt"]).endswith("<|start_header_id|>user<|end_header_id|>\n\n")
    assert (recipe.respond.samples, recipe.respond.sampling.temperature) == (5, 0.8)
    assert (recipe.pairs.strategy, recipe.judge and recipe.judge.orders) == ("best_vs_worst", "both")
