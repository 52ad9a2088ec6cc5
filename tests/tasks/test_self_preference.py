"""Judges and the answers of their own family: what is planted is found, and quality alone is not taken for it."""

from typing import Any

import duckdb
import pytest

from kasasagi.tasks.judge.config import VERIFY
from kasasagi.tasks.reports import reports
from kasasagi.tasks.reports.self_preference import family_of, self_preference
from tests.tasks.test_reports import Mark, figure, fill, tables

__all__ = ["tables"]
MODELS = {
    "a": {"kind": "openai", "model": "Qwen/Qwen3-32B"},
    "b": {"kind": "openai", "model": "meta-llama/Llama-3.3-70B-Instruct"},
    "kin": {"kind": "openai", "model": "qwen3-235b-a22b"},
    "stranger": {"kind": "openai", "model": "gpt-5-mini"},
}


def verdicts(judge: str, first_wins: int, of: int) -> list[Mark]:
    """Verdicts on the answers of `a` and `b` to some prompts, of which `a` wins the first ones."""
    return [
        mark
        for n in range(of)
        for mark in (
            (judge, f"p{n}", f"a{n}", "first", 1, 5 if n < first_wins else 1, None),
            (judge, f"p{n}", f"b{n}", "first", 2, 3, None),
        )
    ]


def named(tables: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The figures, where each rating and each response has a call of the model that it is named for."""
    tables.execute("UPDATE ratings SET call_id = judge")
    tables.execute("UPDATE responses SET call_id = model")
    for label in MODELS:
        tables.execute("INSERT INTO calls (call_id, model) VALUES (?, ?)", [label, label])
    return self_preference(tables, MODELS)


def test_a_judge_that_favours_its_family_is_found_out(tables: duckdb.DuckDBPyConnection) -> None:
    fill(tables, [*verdicts("kin", 90, 100), *verdicts("stranger", 50, 100)])
    rows = named(tables)
    own = figure(rows, "prefers_its_family", "qwen")
    assert (own["judge"], own["value"], own["cases"]) == ("kin", pytest.approx(0.9), 100)
    assert own["low"] > 0.8
    others = figure(rows, "others_prefer_its_family", "qwen")
    assert (others["judge"], others["value"]) == ("kin", pytest.approx(0.5))
    excess = figure(rows, "self_preference", "qwen")
    assert excess["value"] == pytest.approx(0.4)
    assert 0.25 < excess["low"] < 0.4 < excess["high"] < 0.55
    assert {row["judge"] for row in rows} == {"kin"}


def test_answers_that_are_better_for_everybody_are_no_preference(tables: duckdb.DuckDBPyConnection) -> None:
    fill(tables, [*verdicts("kin", 90, 100), *verdicts("stranger", 90, 100)])
    excess = figure(named(tables), "self_preference", "qwen")
    assert (excess["value"], excess["low"], excess["high"]) == (0, 0, 0)


def test_without_a_judge_of_another_family_only_the_rate_is_there(tables: duckdb.DuckDBPyConnection) -> None:
    fill(tables, verdicts("kin", 30, 40))
    assert [row["figure"] for row in named(tables)] == ["prefers_its_family"]


def test_ties_are_halves_and_several_aspects_one_verdict(tables: duckdb.DuckDBPyConnection) -> None:
    fill(
        tables,
        [
            (judge, prompt, text, "first", place, 3, None)
            for judge in ("kin", "stranger")
            for prompt in ("p1", "p2")
            for place, text in ((1, f"a{prompt}"), (2, f"b{prompt}"))
        ],
    )
    tables.execute("INSERT INTO ratings SELECT * REPLACE ('other' AS aspect) FROM ratings")
    own = figure(named(tables), "prefers_its_family", "qwen")
    assert (own["value"], own["cases"]) == (0.5, 2)


def test_no_figure_where_no_judge_or_every_responder_is_kin(tables: duckdb.DuckDBPyConnection) -> None:
    fill(tables, verdicts("stranger", 30, 40))
    assert named(tables) == []
    same = {**MODELS, "b": {"model": "Qwen/Qwen2.5-7B"}}
    tables.execute("UPDATE ratings SET judge = 'kin', call_id = 'kin'")
    assert self_preference(tables, same) == []
    assert [row for row in reports(tables, {"models": same})["judge_figures"] if "family" in row["figure"]] == []


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ({"model": "Qwen/Qwen3-8B"}, "qwen"),
        ({"model": "Qwen/QwQ-32B"}, "qwen"),
        ({"model": "gpt-4o-mini"}, "gpt"),
        ({"model": "openai/gpt-oss-120b"}, "gpt"),
        ({"model": "o3-mini"}, "gpt"),
        ({"model": "anthropic/claude-sonnet-4"}, "claude"),
        ({"model": "mistralai/Mixtral-8x7B"}, "mistral"),
        ({"model": "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"}, "deepseek"),
        ({"model": "tokyotech-llm/Llama-3.1-Swallow-8B"}, "llama"),
        ({"model": "dolphin-2"}, "dolphin-2"),
        ({"model": "ophirag"}, "ophirag"),
        ({"kind": "bundled"}, "hina"),
        (None, "small"),
        ({"model": None}, "small"),
    ],
)
def test_a_family_is_told_by_the_name(model: Any, family: str) -> None:
    assert family_of(model, "small") == family


def test_a_checker_is_no_judge_of_another_family(tables: duckdb.DuckDBPyConnection) -> None:
    """Judges that rank see correct answers alone, of which the checker prefers none."""
    fill(tables, [*verdicts("kin", 80, 100), *[(VERIFY, *mark[1:5], 1, None) for mark in verdicts("kin", 80, 100)]])
    assert {row["figure"] for row in named(tables)} == {"prefers_its_family"}


def test_what_does_not_fit_the_usual_memory_gets_more(tables: duckdb.DuckDBPyConnection) -> None:
    fill(tables, verdicts("kin", 10, 20))
    tables.execute("UPDATE ratings SET call_id = judge; UPDATE responses SET call_id = model")
    for label in MODELS:
        tables.execute("INSERT INTO calls (call_id, model) VALUES (?, ?)", [label, label])
    asked: list[str] = []

    class Small:
        """A connection whose memory is too small once."""

        def execute(self, query: str, *values: Any) -> Any:
            asked.append(query)
            if query.lstrip().startswith("CREATE OR REPLACE TEMP TABLE") and len(asked) < 5:
                raise duckdb.OutOfMemoryException("too small")
            return tables.execute(query, *values)

    connection: Any = Small()
    assert {row["figure"] for row in self_preference(connection, MODELS)} == {"prefers_its_family"}
    assert "SET memory_limit = '512MB'" in asked
