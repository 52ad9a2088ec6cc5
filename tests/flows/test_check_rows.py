"""`check` reads a dataset's first rows as a run does, says what happens to them, and shows requests made of one."""

import json
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.check.check_recipe import check_recipe as run_check
from kasasagi.flows.check.endpoints import example_requests
from kasasagi.flows.check.rows import first_rows
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe, override, parse_yaml
from kasasagi.tasks.load import SourceError

TEXT = """
name: job
source: {kind: dataset, path: rows.jsonl}
models:
  small: {kind: openai, base_url: "http://127.0.0.1:9/v1", model: small}
respond: {models: [small], samples: 2, template: "{{ instruction }} Be brief."}
judge: {model: small}
"""
LONG = "Which rivers flow through Vienna, and where do they meet?"


def loaded(folder: Path, rows: list[Any], *settings: str, text: str = TEXT) -> LoadedRecipe:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = check_recipe(override(parse_yaml(text, "recipe.yaml"), settings), folder)
    return LoadedRecipe(recipe=recipe, base=folder)


def test_what_becomes_of_the_first_rows_is_said_with_the_reasons(tmp_path: Path) -> None:
    rows = [{"instruction": LONG}, {"instruction": "Hi."}, {"instruction": None}, {"instruction": "Ho."}]
    found = first_rows(loaded(tmp_path, rows, "filter.rules=[{min_chars: 20}]"))
    assert found is not None
    assert found.sentences() == [
        "first 4 rows: 3 are prompts, 1 of them pass the filter",
        "  2 of 4 rows are quarantined by filter as min_chars: 3 characters, fewer than 20",
        "  1 of 4 rows are quarantined by load as empty: instruction is null",
    ]


def test_rows_that_end_with_an_answer_are_counted(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": LONG}, {"role": "assistant", "content": "Two."}]}
    dropped = first_rows(loaded(tmp_path, [chat]))
    assert dropped is not None
    assert "1 of 1 rows end with an answer, which is left out; source.last_answer" in dropped.sentences()[1]
    chosen = first_rows(loaded(tmp_path, [chat], "source.last_answer=as_chosen", "judge=null"))
    assert chosen is not None
    assert "is the chosen response" in chosen.sentences()[1]


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        ('{"instruction": null}\n', "instruction is null; map its columns"),
        ('{"question": "Why?"}\n{"instruction": 1}\n', "the row has no instruction; map its columns"),
        ("{broken\n", ""),
        ("instruction,topic\na,b,c,d\n", "4 fields, but the header has 2"),
    ],
)
def test_columns_are_to_be_mapped_only_where_another_may_hold_the_prompt(
    tmp_path: Path, content: str, ending: str
) -> None:
    recipe = loaded(tmp_path, [], "source.format=csv" if "topic" in content else "source.format=jsonl")
    (tmp_path / "rows.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError, match="can be a prompt") as raised:
        first_rows(recipe)
    assert str(raised.value).endswith(ending)
    assert ("map its columns" in str(raised.value)) == ("map its columns" in ending)


def rated(chosen: Any, rejected: Any) -> dict[str, Any]:
    return {"conversations": [{"from": "human", "value": LONG}], "chosen": chosen, "rejected": rejected}


PROVIDED = "\n".join(line for line in TEXT.split("\n") if not line.startswith("respond:"))


def with_responses(folder: Path, rows: list[Any], *settings: str) -> LoadedRecipe:
    return loaded(folder, rows, "source.responses={}", *settings, text=PROVIDED)


def test_responses_that_rows_hold_are_counted_with_what_is_wrong(tmp_path: Path) -> None:
    rows = [
        rated({"from": "gpt", "value": "Two."}, {"from": "gpt", "value": "One."}),
        {**rated("Two.", {"from": "human", "value": "Why?"}), "conversations": [{"from": "human", "value": "Who?"}]},
    ]
    found = first_rows(with_responses(tmp_path, rows))
    assert found is not None
    assert [text.strip() for text in found.sentences()[1:]] == [
        "3 of 4 responses of the source can be rated; 1 of 2 prompts have two of them",
        "1 of 4 responses are quarantined by respond as bad_response: it ends with a turn of the user, not of the "
        "assistant",
    ]


@pytest.mark.parametrize(("chosen", "rejected", "why"), [
    ("Two.", "Two.", "1 of 2 responses are quarantined by respond as equal_answer"),
    ("Two.", {"words": "One."}, "bad_response: message 1 has no role"),
    (None, " ", "are quarantined by respond as"),
])  # fmt: skip
def test_a_source_without_two_responses_to_compare_is_a_problem(
    tmp_path: Path, chosen: Any, rejected: Any, why: str
) -> None:
    with pytest.raises(RecipeError, match=f"no prompt of the first 1 rows of rows.jsonl has two responses.*{why}"):
        first_rows(with_responses(tmp_path, [rated(chosen, rejected)]))


def test_a_list_without_responses_is_a_problem(tmp_path: Path) -> None:
    rows = [{"prompt": LONG, "completions": []}]
    with pytest.raises(RecipeError, match="they hold 0 responses"):
        first_rows(with_responses(tmp_path, rows, "source.responses.all=completions"))


def test_requests_are_made_of_the_first_row_that_goes_on(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, [{"instruction": "Hi."}, {"instruction": LONG}], "filter.rules=[{min_chars: 20}]")
    found = first_rows(recipe)
    assert found is not None
    shown = dict(example_requests(recipe, found.example))
    assert f"{LONG} Be brief." in shown["small is asked"]
    assert LONG in shown["small judges"]


def test_a_first_row_in_japanese_is_judged_in_japanese(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, [{"instruction": "東京の人口はどのくらいですか。"}])
    found = first_rows(recipe)
    assert found is not None
    assert "評価" in dict(example_requests(recipe, found.example))["small judges"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "contains no rows"),
        ([{"messages": []}, {"messages": [{"role": "assistant", "content": "x"}]}], "none of the first 2 rows"),
    ],
)
def test_a_source_without_a_prompt_among_its_first_rows_is_a_problem(
    tmp_path: Path, rows: list[Any], reason: str
) -> None:
    with pytest.raises((RecipeError, SourceError), match=reason):
        first_rows(loaded(tmp_path, rows))


def test_what_a_folder_leaves_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    for split in ("train", "test"):
        (tmp_path / "clone" / f"{split}.jsonl").write_text(json.dumps({"instruction": split}) + "\n")
    found = first_rows(loaded(tmp_path, [], "source.path=clone"))
    assert found is not None
    assert found.sentences() == [
        "first 1 rows: 1 are prompts, 1 of them pass the filter",
        "  1 file is read of the split train; test left out, which source.split can name",
    ]


def test_no_more_than_the_first_rows_are_read(tmp_path: Path) -> None:
    found = first_rows(loaded(tmp_path, [{"instruction": f"{LONG} {number}"} for number in range(50)]), count=7)
    assert found is not None
    assert found.read == 7


def test_magpie_and_the_hub_have_no_first_rows(tmp_path: Path) -> None:
    assert first_rows(loaded(tmp_path, [], "source={kind: magpie, model: small, target: 5}")) is None
    assert first_rows(loaded(tmp_path, [], "source.path=owner/name")) is None


def shown_by_check(recipe: LoadedRecipe, folder: Path) -> tuple[str, str]:
    """Return what check shows of a recipe on the bundled model, and its error."""
    shown: list[str] = []
    try:
        run_check(recipe, Workspace(folder / "workspace"), ping=False, show=lambda text, style: shown.append(text))
    except RecipeError as error:
        return "\n".join(shown), str(error)
    return "\n".join(shown), ""


BUNDLED = "models.small={kind: bundled}"


def test_the_rows_of_the_hub_are_said_not_to_be_checked(tmp_path: Path) -> None:
    shown, error = shown_by_check(loaded(tmp_path, [], "source.path=owner/name", BUNDLED), tmp_path)
    assert "source.path: 'owner/name' is a dataset on the Hugging Face Hub, whose rows are not checked" in shown
    assert not error


@pytest.mark.parametrize("content", ['{"instruction": "Which riv', '{"question": "Which rivers?"}', None])
def test_no_request_is_shown_where_the_data_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    recipe = loaded(tmp_path, [], BUNDLED)
    (tmp_path / "rows.jsonl").unlink()
    if content is not None:
        (tmp_path / "rows.jsonl").write_text(content, encoding="utf-8")
    shown, error = shown_by_check(recipe, tmp_path)
    assert "rows.jsonl" in error
    assert "is asked" not in shown
    assert shown_by_check(loaded(tmp_path, [{"instruction": LONG}], BUNDLED), tmp_path)[0].count("is asked") == 1


def test_a_filter_that_no_row_passes_is_a_problem_and_of_more_rows_a_warning(tmp_path: Path) -> None:
    settings = (BUNDLED, "filter.rules=[{min_chars: 500}]")
    shown, error = shown_by_check(loaded(tmp_path, [{"instruction": LONG}], *settings), tmp_path)
    assert error == ("filter: no row of the source passes the filter; loosen it, or name another source")
    assert "1 of 1 rows are quarantined by filter as min_chars" in shown
    assert "is asked" not in shown
    rows = [{"instruction": f"{LONG} {number}"} for number in range(150)]
    shown, error = shown_by_check(loaded(tmp_path, rows, *settings), tmp_path)
    assert error == ""
    assert "warning: filter: none of the first 100 rows passes the filter" in shown
