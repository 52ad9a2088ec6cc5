"""Views in Japanese: by an option or the locale, with the same numbers, and nothing of a user's is translated."""

import contextvars
import re
from pathlib import Path

import pytest
import yaml
from rich.cells import cell_len
from typer.testing import CliRunner

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.cli.app import app
from kasasagi.flows.views.language import Language, preferred_language, say, set_language
from tests.run_example import build_example_run

VIEWS = Path(__file__).parents[2] / "flows" / "views"
JAPANESE = yaml.safe_load((VIEWS / "japanese.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build_example_run(tmp_path_factory.mktemp("workspace"), prompts=12)


def output(run: Run, *words: str, locale: str = "C") -> str:
    arguments = [words[0], "-w", str(run.workspace.folder), *words[1:]]
    environment = {"LC_ALL": locale, "COLUMNS": "200"}
    result = contextvars.copy_context().run(CliRunner().invoke, app, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return result.output


def in_japanese(text: str) -> str:
    def speak() -> str:
        set_language(Language.ja)
        return say(text)

    return contextvars.copy_context().run(speak)


def test_numbers_are_taken_over_in_the_order_of_the_language() -> None:
    assert in_japanese("37 pairs from 1,040 prompts") == "プロンプト 1,040 件からペア 37 組"
    assert in_japanese("rated -1.5") == "評点 -1.5"
    assert in_japanese("1 paid call, <$0.0001") == "有料の呼び出し 1 回、<$0.0001"
    assert in_japanese("158 paid calls, $0.0233") == "有料の呼び出し 158 回、$0.0233"
    assert say("37 pairs from 1,040 prompts") == "37 pairs from 1,040 prompts"


def test_what_has_no_translation_stays_english() -> None:
    assert in_japanese("rows of my own gate") == "rows of my own gate"
    assert (in_japanese("chosen"), in_japanese("rejected")) == ("chosen", "rejected")


def test_the_limits_of_gates_are_translated_with_their_figures() -> None:
    assert in_japanese("78.6% of 1,070") == "78.6%（1,070 件中）"
    limits = in_japanese("at most 75.0%; at most 90.5% for the first chunk")
    assert limits == "75.0% 以下、スカウト（最初のチャンク）では 90.5% 以下"


@pytest.mark.parametrize("entry", JAPANESE.items(), ids=lambda entry: entry[0])
def test_an_entry_takes_as_many_numbers_as_its_english(entry: tuple[str, str]) -> None:
    english, japanese = entry
    assert len(re.findall(r"\{\d?\}", japanese)) == english.count("{}")
    assert re.search(r"[ぁ-んァ-ヶ一-龠]", japanese) or english in {"hub", "; ", " and in "}


def test_every_text_that_views_say_has_a_translation() -> None:
    texts = [file.read_text(encoding="utf-8") for file in VIEWS.rglob("*") if file.suffix in {".py", ".j2", ".js"}]
    spoken = [text for source in texts for text in re.findall(r'\bsay\(\s*"([^"]+)"(?! \+)', source)]
    assert len(spoken) > 30
    assert [text for text in spoken if text not in JAPANESE] == []


def test_a_summary_speaks_japanese_by_option_and_by_locale(run: Run) -> None:
    by_option = output(run, "show", "--language", "ja")
    assert "プロンプト 12 件からペア 9 組。有料の呼び出し" in by_option
    assert "段階ごとの行数" in by_option
    assert "two-models-one-judge" in by_option
    assert output(run, "show", locale="ja_JP.UTF-8") == by_option
    assert "ペア" in output(run, "runs", locale="ja_JP.UTF-8")
    assert "9 pairs from 12 prompts" in output(run, "show", "--language", "en", locale="ja_JP.UTF-8")
    assert "9 pairs from 12 prompts" in output(run, "show")


@pytest.mark.parametrize(("language", "label"), [("en", "dataset"), ("ja", "データセット")])
def test_the_places_of_a_run_begin_in_one_column_two_cells_after_the_widest_label(
    tmp_path: Path, language: str, label: str
) -> None:
    run = build_example_run(tmp_path)
    run.save(run.state().model_copy(update={"published": "/data/out"}))
    places = output(run, "show", "--language", language).rstrip().rpartition("\n\n")[2].splitlines()
    starts = [re.match(r"\S+ +", place) for place in places]
    assert f"{label}  /data/out" in places
    assert len({cell_len(start[0]) for start in starts if start}) == 1


def test_check_and_quarantine_speak_japanese(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"instruction": "What is the opposite of hot?"}\n{"instruction": ""}\n')
    (tmp_path / "recipe.yaml").write_text(
        "{name: a, source: {kind: dataset, path: rows.jsonl}, models: {m: {kind: bundled}}, "
        "respond: {models: [m], samples: 2}, judge: {model: m}}"
    )
    checked = output(run, "check", "recipe.yaml", "--language", "ja")
    for text in ("m へのリクエスト", "m による評価", "最初の 2 行: プロンプト 1 件", "レシピに問題はありません"):
        assert text in checked
    aside = output(run, "quarantine", "-n", "1", locale="ja_JP.UTF-8")
    assert "段階" in aside
    assert "too_few_responses: 前の段階で行が隔離されたため" in aside


def test_a_report_speaks_japanese(run: Run, tmp_path: Path) -> None:
    output(run, "report", "--language", "ja", "-o", str(tmp_path / "ja.html"))
    page = (tmp_path / "ja.html").read_text(encoding="utf-8")
    assert '<html lang="ja">' in page
    for heading in ("ペア", "ゲート", "段階ごとの行数", "評点", "レシピ"):
        assert f"<h2>{heading}</h2>" in page


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LC_ALL": "C", "LANG": "ja_JP.UTF-8"}, "en"),
        ({"KASASAGI_LANGUAGE": "ja", "LC_ALL": "en_US.UTF-8"}, "ja"),
    ],
)
def test_the_environment_chooses_the_language(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], language: str
) -> None:
    for name in ("KASASAGI_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert preferred_language() == language
