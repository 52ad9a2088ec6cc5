"""What the gates expect of a recipe: of what its rules look at, and nothing that every response would pass unseen."""

from pathlib import Path

import pytest

from flows.recipe import Recipe, check_recipe, load_recipe, override, parse_yaml
from flows.recipe_errors import RecipeError
from flows.recipe_gates import gate_faults
from tests.flows.test_recipe import TEXT

OWN = "gates.expect=[{stage: respond, expectation: ExpectColumnValuesToBeInSet, column: refused, mostly: 0.8}]"
TOGETHER = "gates.expect=[{stage: respond, expectation: ExpectColumnPairValuesToBeEqual, column_A: refused}]"
LOOKED_AT = {"truncated", "refused", "language_as_asked"}


def recipe(*settings: str, given: bool = False) -> Recipe:
    data = parse_yaml(TEXT, "r")
    if given:
        del data["respond"]
        data["source"]["responses"] = {}
    return check_recipe(override(data, settings), Path())


def fault(*settings: str, given: bool = False) -> str:
    return "\n".join(gate_faults(recipe(*settings, given=given)))


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
    assert columns(recipe(f"respond.rules={rules}")) == {*wanted, "response_id"}


def test_by_default_all_of_it_is_expected_and_of_given_responses_none() -> None:
    assert columns(recipe()) == {*LOOKED_AT, "response_id"}
    assert columns(recipe(given=True)) == {"response_id"}


def test_an_expectation_of_ones_own_that_all_would_pass_unseen_is_a_fault() -> None:
    assert "refused" in columns(recipe(OWN))
    assert fault(OWN, "respond.rules=[finished]") == (
        "gates.expect.0: no rule looks at 'refused' here, so every response would pass; "
        "add no_refusal to respond.rules, or leave this expectation out"
    )
    assert fault(OWN, given=True) == (
        "gates.expect.0: no rule looks at 'refused' here, so every response would pass; "
        "responses that the source holds are taken as they are: leave this expectation out"
    )
    assert "add no_refusal" in fault(TOGETHER, "respond.rules=[finished]")


def test_such_a_fault_is_of_a_file_and_not_of_a_recipe_that_has_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(TEXT, encoding="utf-8")
    with pytest.raises(RecipeError, match="no rule looks at 'refused' here"):
        load_recipe(str(tmp_path / "recipe.yaml"), [OWN, "respond.rules=[finished]"])
    kept = recipe(OWN, "respond.rules=[finished]")
    assert check_recipe(kept.plain(), tmp_path) == kept
