"""Recipes: each problem is one sentence with its place, value, reason and nearest choice; no text makes it crash."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasasagi.flows.errors import UsageError
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import (
    check_recipe,
    find_recipe,
    load_recipe,
    missing_columns,
    only_new,
    override,
    parse_yaml,
    shipped_recipes,
)
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.synthesize.config import MagpieSource

TEXT = """
name: job
source: {kind: dataset, path: prompts.jsonl, keep: [topic]}
models:
  small: {kind: openai, base_url: "http://127.0.0.1:8000/v1", model: small}
  large: {kind: openai, base_url: "http://127.0.0.1:8000/v1", model: large}
respond: {models: [small, {use: large}]}
judge: {model: large}
"""
KEY = "sk-abcdefSECRETghijklmnop"


def check(*settings: str, text: str = TEXT) -> Recipe:
    return check_recipe(override(parse_yaml(text, "recipe.yaml"), settings), Path())


def problem(*settings: str, text: str = TEXT) -> str:
    with pytest.raises(RecipeError) as raised:
        check(*settings, text=text)
    return str(raised.value)


def test_a_sound_recipe_is_read_with_its_defaults() -> None:
    recipe = check()
    assert [responder.name for responder in recipe.respond.models] == ["small", "large"]
    assert recipe.judge.orderings == ("first", "swapped")
    assert recipe.kept_columns == ("topic",)
    assert recipe.plain() == Recipe.model_validate(recipe.plain()).plain()


GOLDEN = {
    "nmae=x": "nmae: 'nmae' is not a key here; did you mean 'name'?",
    "judge.ordres=both": "judge.ordres: 'ordres' is not a key here; did you mean 'orders'?",
    "judge.orders=bth": "judge.orders: 'bth' is not allowed; did you mean 'both'?",
    "judge.model=lrge": "judge.model: 'lrge' is not a model of this recipe; did you mean 'large'?",
    "respond.models.0=smal": "respond.models.0: 'smal' is not a model of this recipe; did you mean 'small'?",
    "models.small.kind=opnai": "models.small.kind: 'opnai' is not a kind; did you mean 'openai'?",
    "source.kind=magpy": "source.kind: 'magpy' is not a kind; did you mean 'magpie'?",
    "models.small.modl=x": "models.small.modl: 'modl' is not a key here; did you mean 'model'?",
    "models.small={kind: openai}": "models.small.model: this key is missing (name of the model on the server)",
    "respond.samples=0": "respond.samples: 0 is too small; write 1 or more",
    "respond.samples=many": "respond.samples: 'many' is not a whole number; write one such as 3",
    "respond.sampling.tempreture=1": "respond.sampling.tempreture: 'tempreture' is not a key here; did you mean",
    "respond.models.1.labl=x": "respond.models.1.labl: 'labl' is not a key here; did you mean 'label'?",
    "respond.template='{{ instrction }}'": (
        "respond.template: 'instrction' is not a column of the prompts; did you mean 'instruction'?; "
        "further columns of the source are named in source.keep"
    ),
    "respond.template='{{ '": "respond.template: '{{ ' is not a Jinja template: unexpected 'end of template'",
    "respond.template='{{ instruction | shout }}'": "respond.template: '{{ instruction | shout }}' is not a",
    "respond.rules=[finishd]": "is not a rule for answers; did you mean 'finished'",
    "respond.models=[small, small]": "'small' responds 2 times; give each of them a label of its own",
    "filter.rules=[{min_chrs: 3}]": "'min_chrs' is not a rule; did you mean 'min_chars'?",
    "pairs.min_margin=-1": "pairs.min_margin: -1 is too small; write 0 or more",
    "gates.expect=[{stage: respnd, expectation: ExpectColumnToExist}]": (
        "gates.expect.0.stage: 'respnd' is not a stage with a gate; did you mean 'respond'?"
    ),
    "name=2024-01-01": "name: datetime.date(2024, 1, 1) is not a text; put it in quotes",
    "models.small.base_url=localhost": "models.small.base_url: 'localhost' is not an address: one begins with http://",
    "models.small.extra_body.n=3": "'n' is set by the stages themselves; remove it",
    "name.x=1": "--set 'name.x=1': 'x' cannot be set inside 'job', which has no keys",
    "respond.models.5.label=x": "--set 'respond.models.5.label=x': '5' is not a place in a list of 2; they count from",
    "respond.models.x=y": "--set 'respond.models.x=y': 'x' is not a place in a list of 2; they count from 0",
    "respond.samples": "--set 'respond.samples' must look like judge.orders=both: a path of names, =, a value",
    "=3": "--set '=3' must look like judge.orders=both: a path of names, =, a value",
    "a..b=3": "--set 'a..b=3' must look like judge.orders=both",
    "respond.samples=[1": "--set 'respond.samples=[1': the value is not YAML at line 1, column 3: ",
}


@pytest.mark.parametrize(("setting", "message"), GOLDEN.items())
def test_each_problem_is_one_sentence(setting: str, message: str) -> None:
    sentence = problem(setting)
    assert message in sentence
    assert "\n" not in sentence


OWN_PROMPT = "Which serves a beginner? {{ instruction }} {{ responses }}"
JUDGE_PROMPTS = {
    "{{ instruction }} {{ respnses }}": (
        "judge.prompt: 'respnses' is neither a placeholder here nor a column of the prompts; did you mean 'responses'?"
    ),
    "{{ instruction }}": (
        "judge.prompt: '{{ instruction }}' has no {{ responses }}, which the judge needs; write it into the template"
    ),
    "{{ responses }}": "judge.prompt: '{{ responses }}' has no {{ instruction }}, which the judge needs; write it",
    "": "judge.prompt: '' has no {{ instruction }}, which the judge needs; write it into the template",
    "{{ instruction ": "judge.prompt: '{{ instruction ' is not a Jinja template: unexpected end of template",
    OWN_PROMPT + "{{ rubric }}": "judge.prompt: 'rubric' is neither a placeholder here nor a column of the prompts",
}


@pytest.mark.parametrize(("text", "message"), JUDGE_PROMPTS.items())
def test_a_judge_prompt_with_wrong_placeholders_is_one_sentence(text: str, message: str) -> None:
    assert message in problem(f"judge.prompt={json.dumps({'text': text})}")


def test_a_judge_prompt_may_use_columns_and_must_tell_aspects_and_rubrics_apart() -> None:
    own = f"judge.prompt={json.dumps({'text': OWN_PROMPT + '{{ topic }} {{ count }} {{ aspect }}'})}"
    plain = f"judge.prompt={json.dumps({'text': OWN_PROMPT})}"
    assert check(own).judge.prompt is not None
    assert check(own, "judge.aspects=[honesty, helpfulness]").judge.prompt is not None
    assert "has no {{ aspect }}" in problem(plain, "judge.aspects=[honesty, helpfulness]")
    assert "has no {{ rubric }}" in problem(plain, "judge.method=rubric", "judge.rubric={text: Be kind.}")
    assert "'aspect' is neither a placeholder" in problem(own, "judge.method=pairwise")
    assert "prompt does not apply to reward models" in problem(plain, "judge.method=reward")
    assert "either a text or a file" in problem("judge.prompt={}")


def test_a_run_keeps_the_text_of_a_judge_prompt_and_of_a_rubric_that_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "judge.txt").write_text(OWN_PROMPT + " {{ rubric }}", encoding="utf-8")
    (tmp_path / "rubric.txt").write_text("Be kind.", encoding="utf-8")
    files = ["judge.prompt={file: judge.txt}", "judge.method=rubric", "judge.rubric={file: rubric.txt}"]
    recipe = check_recipe(override(parse_yaml(TEXT, "r"), files), tmp_path)
    assert recipe.plain()["judge"]["prompt"] == {"text": OWN_PROMPT + " {{ rubric }}"}
    assert recipe.plain()["judge"]["rubric"] == {"text": "Be kind."}
    with pytest.raises(RecipeError, match=r"^judge\.prompt\.file: '.* cannot be read .*away\.txt.*; correct the path$"):
        check_recipe(override(parse_yaml(TEXT, "r"), ["judge.prompt={file: away.txt}"]), tmp_path)


@pytest.mark.parametrize("name", ["name", "source", "models", "respond"])
def test_a_missing_part_is_named(name: str) -> None:
    data = parse_yaml(TEXT, "recipe.yaml")
    data.pop(name)
    with pytest.raises(RecipeError, match=rf"^{name}: this key is missing \("):
        check_recipe(data, Path())


def test_several_problems_are_several_sentences() -> None:
    sentences = problem("nmae=x", "judge.ordres=both", "respond.samples=0").splitlines()
    assert [sentence.split(":")[0] for sentence in sorted(sentences)] == ["judge.ordres", "nmae", "respond.samples"]


@pytest.mark.parametrize(
    "setting",
    [
        f"models.small.api_key={KEY}",
        "models.small.api_key=plainSECRETword",
        f"models.small.api_key_env={KEY}",
        "models.small.api_key_env=not-a-prefix-SECRET-but-a-key-of-forty-signs",
        f"models.small.extra_body.headers=[{KEY}]",
        "models.small.extra_body.token=plainSECRETword",
        f"respond.system_prompt=use {KEY} please",
        f"filter.where={{reason: \"instruction <> '{KEY}'\"}}",
        f"models={{{KEY}: {{kind: openai}}}}",
        f"{KEY}=1",
        f"models.small.api_key {KEY}",
        f"name.{KEY}.x=1",
        "models.small.base_url=http://user:plainSECRETword@host/v1",
        "models.small.base_url=http://host/v1?api_key=plainSECRETword",
        f"respond.samples=[{KEY}",
    ],
)
def test_a_key_is_an_error_and_is_never_repeated(setting: str) -> None:
    assert "SECRET" not in problem(setting)


@pytest.mark.parametrize(
    "setting",
    ["source.keep=[key, token]", "source.columns={instruction: key}", "filter.where={password: 'length(topic) > 1'}"],
)
def test_columns_may_be_called_like_keys(setting: str) -> None:
    if "keep" in setting or "columns" in setting:
        check(setting)
    else:
        check(setting, "source.keep=[topic]")


def test_settings_reach_into_mappings_lists_and_names() -> None:
    recipe = check(
        "respond.models.0.label=first",
        "respond.models.0.sampling.temperature=0.25",
        "respond.models.1.samples=3",
        "pairs.min_margin=2",
        "judge.aspects=[honesty, helpfulness]",
        "models.third={kind: bundled}",
        "publish.path=out=put",
        "respond.system_prompt=",
    )
    assert [one.name for one in recipe.respond.models] == ["first", "large"]
    assert recipe.respond.models[0].sampling.temperature == 0.25
    assert recipe.respond.models[1].samples == 3
    assert recipe.judge.aspects == ("honesty", "helpfulness")
    assert recipe.models["third"].kind == "bundled"
    assert recipe.publish.path == "out=put"
    assert recipe.respond.system_prompt is None


def test_settings_leave_the_data_that_they_are_laid_over_as_it_is() -> None:
    data = parse_yaml(TEXT, "recipe.yaml")
    before = json.dumps(data)
    override(data, ["respond.models.0.label=x", "name=other"])
    assert json.dumps(data) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b", "at line 2, column 1: the key 'name' appears twice"),
        (TEXT + "respond: {models: [large]}", "'respond' appears twice"),
        ("models: {a: 1, b: {c: 1, c: 2}}", "'c' appears twice"),
        ("a: [1", "is not YAML at line"),
        ("a: 'b", "is not YAML at line"),
        ("- a\n- b", "and a recipe is a mapping"),
        ("just words", "holds 'just words', and a recipe is a mapping"),
        ("", "recipe.yaml is empty"),
        ("a: &a [*a]", "nested"),
        ("a: &a {b: *a}", "nested"),
        ("[" * 5000, "recipe.yaml is"),
        ("a: " + "[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("{[a]: b}", "unhashable"),
        ("? {a: b}\n: c", "unhashable"),
        ("a: " + "9" * 5000, "is not YAML"),
        ("a: \x00", "is not YAML"),
        ("a: *nobody", "undefined alias"),
        ("--- 1\n--- 2", "is not YAML"),
    ],
)
def test_what_is_no_recipe_says_where(text: str, message: str) -> None:
    sentence = problem(text=text)
    assert message in sentence
    assert sentence.startswith("recipe.yaml ")
    assert "\n" not in sentence


def test_a_bomb_of_aliases_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert "expand to more than" in problem(text="\n".join(lines))


def test_a_few_aliases_and_merges_are_fine() -> None:
    text = TEXT.replace("small: {kind", "small: &m {kind").replace(
        'large: {kind: openai, base_url: "http://127.0.0.1:8000/v1", model: large}', "large: {<<: *m, model: large}"
    )
    assert check(text=text).models["large"] == check().models["large"]


def test_a_recipe_may_begin_with_a_byte_order_mark_and_be_json(tmp_path: Path) -> None:
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    (tmp_path / "recipe.json").write_text(json.dumps(yaml.safe_load(TEXT), indent=2))
    assert load_recipe(str(tmp_path / "bom.yaml")).recipe == load_recipe(str(tmp_path / "recipe.json")).recipe


@pytest.mark.parametrize(
    "setting",
    [
        "respond.samples=99999999999999999999999",
        "models.small.sampling.seed=0x" + "f" * 5000,
        "respond.samples=-0x" + "f" * 5000,
        'respond.system_prompt="\\ud800"',
        'name="\\ud800"',
        "models.small.extra_body={a: .nan}",
        "models.small.extra_body={a: 2024-01-01}",
        "models.small.extra_body={1: 2}",
        "respond.template='{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}'",
        "respond.samples=" + "[" * 3000,
        "name=" + "x" * 100_000,
    ],
)
def test_numbers_signs_and_depths_that_nobody_can_keep_are_problems(setting: str) -> None:
    assert len(problem(setting)) < 1000 + len(setting)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [
        ["name"],
        ["source"],
        ["models"],
        ["respond"],
        ["judge"],
        ["pairs"],
        ["gates"],
        ["publish"],
        ["source", "keep"],
        ["source", "columns"],
        ["models", "small"],
        ["models", "small", "sampling"],
        ["models", "small", "extra_body"],
        ["models", "small", "usd_per_million_tokens"],
        ["respond", "models"],
        ["respond", "template"],
        ["respond", "sampling"],
        ["filter", "rules"],
        ["filter", "where"],
        ["filter", "dedup"],
        ["gates", "expect"],
        ["judge", "aspects"],
        ["publish", "formats"],
    ]
)


def put(data: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        data = data.setdefault(name, {})
    data[path[-1]] = value


@given(path=PLACES, value=JSON, extra=st.dictionaries(st.text(max_size=6), JSON, max_size=1))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_anywhere_is_sound_or_a_recipe_error(path: list[str], value: Any, extra: dict[str, Any]) -> None:
    data = yaml.safe_load(TEXT)
    put(data, path, value)
    with suppress(RecipeError):
        json.dumps(check_recipe({**data, **extra}, Path()).plain())


@given(st.text(max_size=60) | st.text("{}[]:,&*!|>-'\"#%@ \n\tabc01", max_size=60))
@settings(max_examples=200)
def test_any_text_is_read_or_is_a_recipe_error(text: str) -> None:
    for read in (lambda: parse_yaml(text, "recipe.yaml"), lambda: override({"a": [{}, "b"]}, [text, f"a.0.c={text}"])):
        with suppress(RecipeError):
            read()


@given(st.text(max_size=30))
@settings(max_examples=100)
def test_any_name_is_found_or_a_recipe_error(name: str) -> None:
    with suppress(RecipeError):
        load_recipe(name)


@pytest.mark.parametrize("name", ["x" * 5000, "a\x00b", "", "/", "no/such/file.yaml"])
def test_a_name_that_is_no_file_is_one_sentence(name: str) -> None:
    with pytest.raises(RecipeError, match="there is no recipe"):
        find_recipe(name)


def test_the_nearest_recipe_is_named() -> None:
    with pytest.raises(RecipeError, match="did you mean 'two-models-one-judge'"):
        find_recipe("two-model-one-judge")
    with pytest.raises(UsageError):
        find_recipe("nothing like it")


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(str(tmp_path / "recipe.yaml"))


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_recipe_that_travels_with_us_is_sound(name: str) -> None:
    loaded = load_recipe(name)
    assert loaded.recipe.name
    assert loaded.base == shipped_recipes()[name].parent


def test_a_column_that_the_source_does_not_have_is_named(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"question": "What is a magpie?", "topic": "birds"}\n')
    (tmp_path / "recipe.yaml").write_text(TEXT)
    good = load_recipe(str(tmp_path / "recipe.yaml"), ["source.columns={instruction: question}"])
    assert missing_columns(good) == []
    bad = load_recipe(str(tmp_path / "recipe.yaml"), ["source.columns={instruction: qestion}", "source.keep=[topics]"])
    assert missing_columns(bad) == [
        "source.columns.instruction: 'qestion' is not a column of prompts.jsonl; did you mean 'question'?",
        "source.keep: 'topics' is not a column of prompts.jsonl; did you mean 'topic'?",
    ]


def test_the_sides_of_strong_vs_weak_are_responders() -> None:
    changes = ["pairs.strategy=strong_vs_weak", "pairs.strong=[lagre]", "pairs.weak=[small]"]
    with pytest.raises(RecipeError, match=r"pairs.strong: .lagre. is not a responder.*did you mean .large."):
        load_recipe("two-models-one-judge", changes)


def test_the_student_of_an_on_policy_share_is_a_responder() -> None:
    changes = ["pairs.on_policy={models: [smal], share: 0.5}"]
    with pytest.raises(RecipeError, match=r"pairs.on_policy.models: .smal. is not a responder.*did you mean .small."):
        load_recipe("two-models-one-judge", changes)


def test_a_recipe_without_judge_and_pairs_makes_responses() -> None:
    recipe = check("judge=null")
    assert (recipe.answers, recipe.pairing, recipe.judging) == (True, False, None)
    assert {one.stage for one in recipe.expectations} & {"respond", "judge", "format_dpo"} == {"respond"}
    assert Recipe.model_validate(recipe.plain()).plain() == recipe.plain()
    assert "judge" in {one.stage for one in check().expectations}
    assert check("judge=null", "publish.formats=[generations, all_responses]").pairing is False
    assert problem("judge=null", "publish.formats=[generations, kto]") == (
        "publish.formats: 'kto' is made of pairs, and without judge there are responses; use generations or "
        "all_responses"
    )
    assert "without judge there are responses" in problem("judge=null", "publish.formats=[trl]")
    assert "only a recipe without judge and pairs publishes responses" in problem("judge=null", "pairs.strategy=sigma")


def test_judges_and_pairs_must_go_together() -> None:
    assert "judge: this key is missing" in problem("judge=null", "pairs.min_margin=2")
    assert check("judge=null", "pairs={strategy: strong_vs_weak, strong: [large], weak: [small]}").judging is None
    assert problem("judge={models: [large, smal]}") == (
        "judge.models.1: 'smal' is not a model of this recipe; did you mean 'small'?"
    )
    assert "a weight of 0 leaves one out" in problem("pairs.aspects={honesty: 1}")
    assert "no weight above 0" in problem("pairs.aspects={overall-rating: 0}")
    assert "3 judges are asked for, and there are 2" in problem("judge={models: [large, small]}", "pairs.quorum=3")
    assert check("judge={models: [large], samples: 3}", "pairs.quorum=2").pairs.quorum == 2
    assert [one.name for one in check("judge={models: [large, small]}").expectations if "agree" in one.name]
    assert not [one.name for one in check().expectations if "agree" in one.name]


def test_a_recipe_in_which_nobody_answers_makes_instructions() -> None:
    data = {
        "name": "instructions",
        "source": {"kind": "magpie", "model": "hina", "target": 5},
        "models": {"hina": {"kind": "bundled"}},
    }
    found = check_recipe(data, Path())
    assert not found.answers
    assert "respond" not in found.plain()
    assert check_recipe(found.plain(), Path()) == found
    for more, message in (
        ({"judge": {"model": "hina"}}, "respond: this key is missing"),
        ({"pairs": {"min_margin": 2}}, "respond: this key is missing"),
        ({"publish": {"formats": ["kto"]}}, "publish: formats and split"),
        ({"respond": {"models": []}}, "respond.models"),
    ):
        with pytest.raises(RecipeError, match=message):
            check_recipe({**data, **more}, Path())


def test_a_scheduled_run_of_magpie_draws_a_round_of_the_day_and_publishes_a_version(tmp_path: Path) -> None:
    loaded = load_recipe("quickstart", ["publish.path=out/q"])
    new = only_new(loaded).recipe
    assert isinstance(new.source, MagpieSource)
    assert new.source.round == load_recipe("quickstart", ["source.round=daily"]).recipe.source.round > 20_000  # type: ignore[union-attr]
    assert new.filter.dedup.published
    assert new.publish.path == "out/q-{run}"
    assert new.publish.for_run("r1", 0.0).path == "out/q-r1"
    assert loaded.recipe.source.round == 0  # type: ignore[union-attr]


def test_a_path_may_name_the_day_and_the_run_and_nothing_else() -> None:
    recipe = load_recipe("quickstart", ["publish.path=out/{date}-{run}"]).recipe
    assert recipe.publish.for_run("r1", 86_400.0 * 365).path == "out/1971-01-01-r1"
    with pytest.raises(RecipeError, match="'time' stands for nothing"):
        load_recipe("quickstart", ["publish.path=out/{time}"])


def test_the_bundled_judge_rates_one_aspect_a_call() -> None:
    together = ("judge.aspects=[honesty, helpfulness]", "judge.together=true")
    assert check(*together).judge is not None
    found = problem(*together, "models.own={kind: bundled}", "judge.model=own")
    assert "judge.together: the bundled model 'own' rates one aspect a call; leave together out" in found
