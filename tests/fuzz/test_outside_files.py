"""Damaged files that others made: tokenizers, evaluation sets, packs, rubrics, rated datasets: read, or refused."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasasagi.blocks.models.chat_template import ChatTemplate, TemplateRefusedError, TokenizerUnusableError
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.check.endpoints import example_requests
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, load_recipe
from kasasagi.tasks.filter.config import ContaminationConfig, FilterError
from kasasagi.tasks.filter.duplicates.contamination import Contamination, check_sets
from kasasagi.tasks.gate.approvals import approval, write_approvals
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.load import DatasetSource, SourceError, load_prompts
from kasasagi.tasks.load.config import ProvidedResponses
from kasasagi.tasks.load.provided import write_provided
from kasasagi.tasks.synthesize.packs import SteeringError, read_pack
from kasasagi.tasks.token_counts import TokenizerError, TokenLimits, token_counter
from tests.chat_templates import LLAMA, write_tokenizer
from tests.flows.test_recipe import TEXT
from tests.fuzz.mutations import CHANGES, Change, changed, check_plain_message, mutations_of

IN_A_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "鵲?"}]
SPECIAL = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}}
PARTS = {
    "tokenizer_config.json": json.dumps({"chat_template": [{"name": "default", "template": LLAMA}], **SPECIAL}),
    "chat_template.jinja": LLAMA,
    "special_tokens_map.json": json.dumps(SPECIAL),
    "tokenizer.json": "",
}


def damaged_tokenizer(folder: Path, name: str, changes: list[Change]) -> Path:
    """The folder of a tokenizer, one file of which is damaged."""
    write_tokenizer(folder, LLAMA)
    for part in ("chat_template.jinja", "special_tokens_map.json"):
        (folder / part).unlink(missing_ok=True)
    whole = PARTS[name].encode() or (folder / name).read_bytes()
    (folder / name).write_bytes(changed(whole, changes))
    return folder


@pytest.mark.parametrize("name", PARTS)
@IN_A_FOLDER
@given(changes=CHANGES)
def test_a_damaged_tokenizer_gives_text_or_is_refused(tmp_path: Path, name: str, changes: list[Change]) -> None:
    folder = damaged_tokenizer(tmp_path / "t", name, changes)
    try:
        template = ChatTemplate.from_folder(folder)
        text = template.render(MESSAGES, answer_next=True)
        sent = template.exact(text)
        assert isinstance(sent, str) or all(isinstance(token, int) for token in sent)
        assert all(isinstance(token, str) for token in template.special_tokens())
    except (TokenizerUnusableError, TemplateRefusedError) as error:
        check_plain_message(error)


@pytest.mark.parametrize("name", [name for name in PARTS if name != "special_tokens_map.json"])
@IN_A_FOLDER
@given(changes=CHANGES)
def test_a_damaged_tokenizer_of_a_student_counts_or_is_refused(
    tmp_path: Path, name: str, changes: list[Change]
) -> None:
    folder = damaged_tokenizer(tmp_path / "t", name, changes)
    try:
        counter = token_counter(TokenLimits(tokenizer=str(folder), total=9), tmp_path)
    except TokenizerError as error:
        check_plain_message(error)
        return
    assert counter.prompt(MESSAGES) is None or counter.prompt(MESSAGES) is not None


ITEMS = "\n".join(json.dumps({"q": f"Question {n}: what is {n} plus 鵲, and why is that so?"}) for n in range(8))


def test_an_odd_list_of_templates_is_none_or_the_one_that_can_be_read(tmp_path: Path) -> None:
    for odd in ([1], [{"name": 1}], [{"template": "x"}], [{"name": "default", "template": 7}], {"a": "b"}, 5):
        folder = write_tokenizer(tmp_path / "odd", None, chat_template=odd)
        with pytest.raises(TokenizerUnusableError, match="has no chat template"):
            ChatTemplate.from_folder(folder)
    folder = write_tokenizer(tmp_path / "odd", None, chat_template=[3, {"name": "other", "template": "hello"}])
    assert ChatTemplate.from_folder(folder).render(MESSAGES) == "hello"
    folder = write_tokenizer(tmp_path / "odd", "{{ eos_token }}!", eos_token={"contents": "</s>"})
    assert ChatTemplate.from_folder(folder).render(MESSAGES) == "!"
    (folder / "tokenizer_config.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(TokenizerUnusableError, match="cannot be read"):
        ChatTemplate.from_folder(folder)


@IN_A_FOLDER
@given(mutations_of(ITEMS.encode()))
def test_a_damaged_evaluation_set_is_read_whole_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "set.jsonl").write_bytes(data)
    config = ContaminationConfig.model_validate({"sets": {"ours": {"path": "set.jsonl", "columns": ["q"]}}})
    try:
        check_sets(config, tmp_path)
        Contamination(config, tmp_path)
    except FilterError as error:
        check_plain_message(error)


PACK = """
en: {system: ["You are a gardener.", "You are a smith: \\"hot\\"."], start: ["How do I "]}
ja: {system: ["あなたは庭師です。"], start: ["庭の"]}
"""


@IN_A_FOLDER
@given(mutations_of(PACK.encode()))
def test_a_damaged_pack_gives_texts_or_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "own.yaml").write_bytes(data)
    try:
        pack = read_pack("own.yaml", tmp_path, ["en", "ja"], "system")
    except SteeringError as error:
        check_plain_message(error)
        return
    for language in ("en", "ja"):
        assert all(isinstance(text, str) and text for text in pack.texts(language, "system"))


RUBRIC = "Give 5 where the answer to {{ instruction }} is right, 1 where it is wrong: 正しさ."


def with_rubric(folder: Path, rubric: bytes) -> LoadedRecipe:
    (folder / "recipe.yaml").write_text(TEXT, encoding="utf-8")
    (folder / "rubric.txt").write_bytes(rubric)
    settings = ["judge.method=rubric", "judge.rubric={file: rubric.txt}"]
    return load_recipe(str(folder / "recipe.yaml"), settings)


def test_a_whole_rubric_is_what_the_judge_is_asked(tmp_path: Path) -> None:
    shown = "".join(text for _, text in example_requests(with_rubric(tmp_path, RUBRIC.encode())))
    assert "Give 5 where the answer to" in shown


@IN_A_FOLDER
@given(mutations_of(RUBRIC.encode()))
def test_a_damaged_rubric_is_a_text_or_refused(tmp_path: Path, data: bytes) -> None:
    try:
        shown = dict(example_requests(with_rubric(tmp_path, data)))
    except RecipeError as error:
        check_plain_message(error)
        return
    assert all(isinstance(text, str) and text for text in shown.values())


RATED: list[dict[str, Any]] = [
    {"prompt": f"Say {n}.", "chosen": [{"role": "assistant", "content": f"It is {n}."}], "rejected": f"No {n}"}
    for n in range(6)
]


@settings(IN_A_FOLDER, max_examples=settings().max_examples // 4)
@given(mutations_of("\n".join(json.dumps(row) for row in RATED).encode()))
def test_a_damaged_rated_dataset_gives_responses_or_problems(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "rated.jsonl").write_bytes(data)
    source = DatasetSource(path="rated.jsonl", columns={"instruction": "prompt"}, responses=ProvidedResponses())
    try:
        load_prompts(source, tmp_path, tmp_path / "out")
        rows = pq.read_table(write_provided(source, tmp_path, tmp_path, None)).to_pylist()
    except SourceError as error:
        check_plain_message(error)
        return
    assert all(row["fault"] or isinstance(row["content"], str) for row in rows)


@IN_A_FOLDER
@given(changes=CHANGES, other=st.binary(max_size=60))
def test_a_damaged_approval_is_the_one_that_was_given_or_none(
    tmp_path: Path, changes: list[Change], other: bytes
) -> None:
    workspace = Workspace(tmp_path)
    outcome = Outcome(
        stage="judge", scope="whole", expectation="x", severity="critical", success=False, observed="3", detail="d"
    )
    write_approvals(workspace, "job", [outcome], "run")
    (file,) = (tmp_path / "approvals").iterdir() if (tmp_path / "approvals").is_dir() else tmp_path.rglob("*.json")
    whole = file.read_bytes()
    for content in (changed(whole, changes), other):
        file.write_bytes(content)
        found = approval(workspace, "job", outcome)
        assert found is None or isinstance(found.by, str)
    file.unlink()
