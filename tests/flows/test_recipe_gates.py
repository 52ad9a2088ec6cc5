"""What the gates expect of a recipe: of what its rules look at, and nothing that every response would pass unseen."""

from pathlib import Path

import pytest
import yaml

from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.gates import gate_problems
from kasasagi.flows.recipe.loading import check_recipe, load_recipe, override, parse_yaml
from kasasagi.tasks.recipe import Recipe
from tests.flows.test_recipe import TEXT
from tests.test_docs import ROOT, blocks

OWN = "gates.expect=[{stage: respond, expectation: ExpectColumnValuesToBeInSet, column: refused, mostly: 0.8}]"
TOGETHER = "gates.expect=[{stage: respond, expectation: ExpectColumnPairValuesToBeEqual, column_A: refused}]"
LOOKED_AT = {"truncated", "refused", "language_as_asked"}
ALWAYS = {"response_id", "no_answer", "responder_answers"}


def recipe(*settings: str, provided: bool = False) -> Recipe:
    data = parse_yaml(TEXT, "r")
    if provided:
        del data["respond"]
        data["source"]["responses"] = {}
    return check_recipe(override(data, settings), Path())


def problem(*settings: str, provided: bool = False) -> str:
    return "\n".join(gate_problems(recipe(*settings, provided=provided)))


def columns(found: Recipe) -> set[str]:
    """The columns of the responses of which something is expected."""
    return {one.arguments["column"] for one in found.expectations if one.stage == "respond"}


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ("[finished, not_empty, no_refusal, same_language, no_repetition]", LOOKED_AT),
        ("[not_empty]", set()),
        ("[not_empty, finished]", {"truncated"}),
        ("[no_refusal, same_language]", {"refused", "language_as_asked"}),
    ],
)
def test_only_what_a_rule_looks_at_is_expected(rules: str, wanted: set[str]) -> None:
    assert columns(recipe(f"respond.rules={rules}")) == {*wanted, *ALWAYS}


def test_by_default_all_of_it_is_expected_and_of_provided_responses_none() -> None:
    assert columns(recipe()) == {*LOOKED_AT, *ALWAYS}
    assert columns(recipe(provided=True)) == {"response_id", "no_answer"}


def test_an_expectation_of_ones_own_that_all_would_pass_unseen_is_a_problem() -> None:
    assert "refused" in columns(recipe(OWN))
    assert problem(OWN, "respond.rules=[finished]") == (
        "gates.expect.0: no rule looks at 'refused' here, so every response would pass; "
        "add no_refusal to respond.rules, or leave this expectation out"
    )
    assert problem(OWN, provided=True) == (
        "gates.expect.0: no rule looks at 'refused' here, so every response would pass; "
        "responses that the source holds are taken as they are: leave this expectation out"
    )
    assert "add no_refusal" in problem(TOGETHER, "respond.rules=[finished]")


def test_such_a_problem_is_of_a_file_and_not_of_a_recipe_that_has_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(TEXT, encoding="utf-8")
    with pytest.raises(RecipeError, match="no rule looks at 'refused' here"):
        load_recipe(str(tmp_path / "recipe.yaml"), [OWN, "respond.rules=[finished]"])
    kept = recipe(OWN, "respond.rules=[finished]")
    assert check_recipe(kept.plain(), tmp_path) == kept


def test_every_expectation_in_the_documents_can_be_judged(tmp_path: Path) -> None:
    page = ROOT / "docs" / "gates.md"
    [program] = blocks(page, "python")
    (tmp_path / "my_gates.py").write_text(program)
    entries = [one for text in blocks(page, "yaml") for one in yaml.safe_load(text)["gates"]["expect"]]
    assert len(entries) == 6
    found = check_recipe({**parse_yaml(TEXT, "r"), "gates": {"expect": entries}}, tmp_path)
    assert gate_problems(found, tmp_path) == []


def query(stage: str, text: str) -> str:
    named = f"stage: {stage}, expectation: UnexpectedRowsExpectation"
    return problem("source.keep=[topic]", f'gates.expect=[{{{named}, unexpected_rows_query: "{text}"}}]')


@pytest.mark.parametrize("stage", ["load", "filter", "tags", "rewrite", "converse", "respond", "judge", "format_dpo"])
def test_a_query_may_see_every_row_of_every_stage(stage: str) -> None:
    assert query(stage, "SELECT * FROM {batch}") == ""


@pytest.mark.parametrize("condition", ["topic > 5", "topic LIKE 'birds%'", "refused AND length(content) > 3"])
def test_a_query_may_take_a_column_of_the_source_for_a_text_or_a_number(condition: str) -> None:
    assert query("respond", f"SELECT * FROM {{batch}} WHERE {condition}") == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT * FROM {batch} WHERE ratng > 5", "the columns of judge are aspect, cannot_tell, judges_agree, model"),
        ("SELECT 1", "it does not name {batch}, which stands for the rows of judge"),
        ("DROP TABLE {batch}", "it is not one SELECT"),
        ("SELECT * FRM {batch}", "syntax error"),
        ("SELECT * FROM {batch}, read_csv('/etc/passwd')", "file system operations are disabled"),
    ],
)
def test_a_query_that_cannot_be_run_is_a_problem_in_one_sentence(text: str, message: str) -> None:
    found = query("judge", text)
    assert found.startswith("gates.expect.0.unexpected_rows_query: ")
    assert message in found
    assert "\n" not in found


def test_an_own_class_is_looked_for_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(TEXT)
    own = "gates.expect=[{stage: respond, expectation: 'my_gates:ExpectShort', column: content, max_value: 5}]"
    with pytest.raises(RecipeError, match=r"gates\.expect\.0\.expectation: 'my_gates:ExpectShort' names no file"):
        load_recipe(str(tmp_path / "recipe.yaml"), [own])
    text = "from great_expectations.expectations import ExpectColumnValueLengthsToBeBetween as Lengths\n"
    (tmp_path / "my_gates.py").write_text(f"{text}class ExpectShort(Lengths):\n    pass\n")
    assert load_recipe(str(tmp_path / "recipe.yaml"), [own]).recipe.gates.expect[0].is_own
    with pytest.raises(RecipeError, match=r"cannot be built .*extra fields not permitted"):
        load_recipe(str(tmp_path / "recipe.yaml"), [own.replace("max_value", "nonsense")])
