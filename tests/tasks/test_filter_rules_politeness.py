"""Politeness as a column: what it says of a text, and that predicates and the output have it."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from kasasagi.tasks.filter import FilterConfig, FilterError, check_filter, filter_digest
from kasasagi.tasks.filter.rules.politeness import politeness
from tests.tasks.test_filter import COLUMNS, reasons, run, table


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("日本の首都はどこですか？", "敬体"),
        ("次の文を訳してください。", "敬体"),
        ("要約をお願いします", "敬体"),
        ("雨が降りました。傘がありません。どうしましょうか。", "敬体"),
        ("「早く行け」を丁寧に言い換えてください。", "敬体"),
        ("日本の首都を答えよ。", "常体"),
        ("なぜ空は青いのか？", "常体"),
        ("次の文を訳せ。", "常体"),
        ("俳句を作って。", "常体"),
        ("吾輩は猫である。名前はまだ無い。", "常体"),
        ("「です」の使い方を説明しろ。", "常体"),
        ("私は学生だ。質問があります。", "mixed"),
        ("雨が降った。\n理由を教えてください。", "mixed"),
        ("日本の歴史について", None),
        ("東京の観光名所", None),
        ("Why is the sky blue?", None),
        ("", None),
    ],
)
def test_the_endings_of_sentences_tell_the_style(text: str, style: str | None) -> None:
    assert politeness(text) == style


def test_the_column_is_there_for_predicates_and_in_the_output(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["首都はどこですか？", "首都を答えよ。", "Which is the capital?"])
    where = {"polite": "politeness IS NULL OR politeness = '敬体'"}
    check_filter(FilterConfig(columns=["politeness"], where=where), COLUMNS, tmp_path)
    result = run(tmp_path, prompts, columns=["politeness"], where=where, dedup={"near": 0.7})
    assert reasons(result) == {1: "polite"}
    assert pq.read_table(result.prompts)["politeness"].to_pylist() == ["敬体", None]
    assert "politeness" not in pq.read_schema(run(tmp_path, prompts).prompts.absolute()).names


def test_a_column_must_be_known_and_free(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        FilterConfig.model_validate({"columns": ["mood"]})
    with pytest.raises(FilterError, match="politeness"):
        check_filter(FilterConfig(columns=["politeness"]), [*COLUMNS, "politeness"], tmp_path)
    prompts = table(tmp_path, ["a"], politeness=["mine"])
    with pytest.raises(FilterError, match="politeness"):
        run(tmp_path, prompts, columns=["politeness"])
    assert filter_digest(FilterConfig(columns=["politeness"]), tmp_path) != filter_digest(FilterConfig(), tmp_path)
