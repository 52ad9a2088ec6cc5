"""Damaged recipes: read as what they still say, or refused in sentences; never a traceback, never a key repeated."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings

from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import load_recipe, shipped_recipes
from tests.fuzz.mutations import check_plain_message, mutations_of

KEY = "sk-" + "a1B2" * 10
OWN = f"""
name: pairs
source: {{kind: dataset, path: prompts.jsonl, columns: {{instruction: prompt}}, keep: [id]}}
models:
  small: {{kind: openai, base_url: "http://127.0.0.1:8000/v1", model: small, batch: true, extra_body: {{a: [1, 2]}}}}
  critic: {{kind: openai, model: critic, api_key_env: OPENAI_API_KEY, identity: "{KEY}"}}
filter:
  rules: [{{min_chars: 10}}, language]
  where: {{mine: "instruction NOT LIKE '%home%'"}}
  dedup: {{near: 0.7}}
respond: {{models: [small, {{use: small, sampling: {{temperature: 1.0}}}}], template: "{{{{ instruction }}}}"}}
judge: {{model: critic, orders: both}}
pairs: {{min_margin: 1}}
gates: {{expect: [{{stage: respond, expectation: ExpectColumnValuesToNotBeNull, column: content}}]}}
publish: {{path: out, split: {{test: 0.1}}}}
""".encode()
TEXTS = (OWN, *(file.read_bytes() for file in shipped_recipes().values()))


@given(mutations_of(*TEXTS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_recipe_is_sound_or_refused_in_sentences(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(text)
    try:
        loaded = load_recipe(str(file))
    except RecipeError as error:
        check_plain_message(error, KEY)
    else:
        assert loaded.recipe.plain()
