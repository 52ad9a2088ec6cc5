"""The lines that are printed while a command works, in Japanese: their words are translated, names and commands not."""

import io
import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from rich.console import Console

from kasasagi.blocks.configuration import Budget
from kasasagi.blocks.dispatch.pending_requests import Counters
from kasasagi.flows.reporting.progress import Progress
from kasasagi.flows.reporting.progress_line import line, shown
from kasasagi.flows.reporting.ratings_read import lines_of
from kasasagi.flows.reporting.translated_lines import lines_in_this_language, say_line
from kasasagi.flows.views.language import Language, set_language
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.plans.budgets import budget_sentence
from kasasagi.tasks.plans.counting import StagePlan
from kasasagi.tasks.synthesize.yields import Yield

ROOT = Path(__file__).parents[2]
LINES = yaml.safe_load((ROOT / "flows" / "reporting" / "japanese.yaml").read_text(encoding="utf-8"))
PLAN = StagePlan(stage="judge", calls=2000, known=1940, at_most=True, cost_usd=0.02, repairs=60)
REFUSALS = Outcome(
    stage="respond",
    scope="whole",
    expectation="ExpectColumnValuesToBeBetween(completion_tokens)",
    severity="critical",
    success=False,
    observed="12.0% of 40",
    detail="at most 10.0%",
)


@pytest.fixture(autouse=True)
def in_japanese() -> Iterator[None]:
    set_language(Language.ja)
    yield
    set_language(Language.en)


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        (
            PLAN.sentence(),
            "judge: 呼び出し 最大 2,000 回、うち台帳から再利用 1,940 回、支払い 最大 60 回、約 $0.02。"
            "読み取れない返答の再取得に最大 60 回",
        ),
        (
            next(iter(lines_of({("critic", "distribution"): 50, ("critic", "no_logprobs"): 10}))),
            "評価モデル critic: 評点 60 件のうち 10 件は本文から読みました。うち 10 件はサーバーが対数確率を返しません",
        ),
        (
            budget_sentence(Budget(usd=5, calls=9), [PLAN]),
            "予算: 約 $0.0200（上限 $5.00）、呼び出し約 60 回（上限 9）。使い切ると実行は停止します",
        ),
        (
            f"synthesize: {Yield(128, 117, {'short': 6, 'empty': 5}).sentence()}",
            "synthesize: サンプル 128 件、採用 117 件（91.4%）。不採用: short 6, empty 5",
        ),
        (
            f"gate critical: {REFUSALS.sentence()}; see kasasagi show 20260101",
            "ゲート（重大） respond: completion_tokens: 12.0%（40 件中）（基準 10.0% 以下）。"
            "kasasagi show 20260101 で確認できます",
        ),
        (
            "'small' at http://127.0.0.1:8000/v1 answers again after 30 s",
            "'small' at http://127.0.0.1:8000/v1 は 30 秒後に再び応答しました",
        ),
        ("hina: the bundled model", "hina: 同梱のモデル"),
        ("a line of my own; see nothing", "a line of my own; see nothing"),
    ],
)
def test_a_line_is_translated_clause_by_clause(english: str, japanese: str) -> None:
    assert say_line(english) == japanese
    set_language(Language.en)
    assert say_line(english) == english


def test_threads_that_know_of_no_language_print_that_of_the_command() -> None:
    translate, printed = lines_in_this_language(), list[str]()
    thread = threading.Thread(target=lambda: printed.append(translate("hina: the bundled model")))
    thread.start()
    thread.join()
    assert printed == ["hina: 同梱のモデル"]


def test_the_line_at_the_foot_is_japanese_from_its_first_word() -> None:
    running = SimpleNamespace(counters=Counters(asked=9, answered=7, retried=2), in_flight=lambda: 3)
    progress = Progress(now="answering", done={"judge": 1}, wanted={"judge": 4})
    text = line(progress, running, 2.0, 61.0)  # type: ignore[arg-type]
    assert text == (
        "回答と評価の作成中 · judge 1/4 · 回答 7 件、送信中 3 件、毎秒 2 件 · 0 トークン · 再送 2 件 · 残り約 1:01"
    )
    out = io.StringIO()
    with shown(Console(file=out, force_terminal=True, width=200), Progress()):
        pass
    assert "起動中" in out.getvalue()


@pytest.mark.parametrize("english", LINES, ids=str)
def test_every_translated_clause_is_in_the_code(english: str) -> None:
    """A message that is reworded needs its translation reworded."""
    pieces = re.split(r"{\w+}|[:,()]", english)
    assert [piece for piece in pieces if len(piece.split()) > 1 and piece.strip() not in _code()] == []


@pytest.mark.parametrize(("english", "japanese"), LINES.items(), ids=str)
def test_a_translation_has_the_values_of_its_english(english: str, japanese: str) -> None:
    assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", japanese))


@cache
def _code() -> str:
    """Return the source, with texts joined that stand on several lines."""
    files = [file for floor in ("flows", "tasks", "blocks") for file in (ROOT / floor).rglob("*.py")]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text(encoding="utf-8") for file in files))
