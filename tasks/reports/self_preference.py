"""Whether judges favour answers of their own family: the same model, or another one of its makers' line.

A judge prefers its family's answers by right where they are better. Therefore judges of other families are asked about
the same comparisons: self-preference is what the judge gives its family beyond that.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from duckdb import DuckDBPyConnection

from kasasagi.tasks.judge.config import VERIFY
from kasasagi.tasks.reports.statistics import Interval, Totals, clustered_mean, clustered_share
from kasasagi.tasks.tables.run_tables import with_more_memory

WORDS = {
    "prefers_its_family": "prefers its own family",
    "others_prefer_its_family": "others prefer that family",
    "self_preference": "self-preference",
}
"""The figures in words."""
LINES = {
    "chatgpt": "gpt",
    "gpt": "gpt",
    **dict.fromkeys(("mixtral", "ministral", "magistral", "codestral", "mistral"), "mistral"),
    **{
        name: name
        for name in ("qwen", "llama", "claude", "gemini", "gemma", "deepseek", "phi", "command", "grok", "glm")
    },
    **{name: name for name in ("kimi", "nemotron", "granite", "llm-jp", "plamo", "swallow", "sarashina", "hina")},
}
"""What the names of well-known models hold, and the family that it stands for; the first in a name counts."""
_LINE = re.compile(f"(?<![a-z])(?:{'|'.join(sorted(LINES, key=len, reverse=True))})")
_REASONING_GPT = re.compile(r"o\d(?:$|-)")
_NAMES = """
WITH one AS (SELECT {name} AS name, any_value(call_id) AS call_id FROM {table} GROUP BY 1)
SELECT one.name, any_value(c.model) FROM one LEFT JOIN calls AS c USING (call_id) GROUP BY 1 ORDER BY 1
"""
_CASES = f"""
CREATE OR REPLACE TEMP TABLE family_cases AS
WITH judging AS (SELECT unnest($judges) AS judge, unnest($judge_families) AS kin),
answering AS (SELECT unnest($models) AS model, unnest($model_families) AS family),
means AS (SELECT judge, prompt_id, response_id, avg(rating) AS rating FROM ratings
    WHERE judge IS DISTINCT FROM '{VERIFY}' GROUP BY ALL  -- a checker says what is correct, and prefers no family
),
marked AS (
    SELECT m.*, a.family, j.kin FROM means AS m
    JOIN responses AS r USING (response_id) JOIN answering AS a USING (model) JOIN judging AS j USING (judge)
),
compared AS (
    SELECT a.judge, a.kin, a.family, a.prompt_id, a.response_id AS own, b.response_id AS other,
           (1 + sign(a.rating - b.rating)) / 2 AS hit
    FROM marked AS a JOIN marked AS b USING (judge, prompt_id) WHERE a.family <> b.family
),
of_others AS (
    SELECT k.judge, k.family, k.prompt_id, k.own, k.other, avg(o.hit) AS hit
    FROM compared AS k JOIN compared AS o USING (family, own, other) WHERE k.kin = k.family AND o.kin <> k.family
    GROUP BY ALL
)
SELECT k.judge, k.family, k.prompt_id, k.hit, o.hit AS others
FROM compared AS k LEFT JOIN of_others AS o USING (judge, own, other) WHERE k.kin = k.family
"""
_TOTALS = """
SELECT judge, family, sum(h), sum(c), sum(h * h), sum(h * c), sum(c * c), count(*) FROM (
    SELECT judge, family, prompt_id, sum({hit}) AS h, count(*)::DOUBLE AS c FROM family_cases WHERE {hit} IS NOT NULL
    GROUP BY ALL
) GROUP BY ALL ORDER BY ALL
"""
_FIGURES = {
    "prefers_its_family": ("hit", clustered_share),
    "others_prefer_its_family": ("others", clustered_share),
    "self_preference": ("hit - others", clustered_mean),
}


def self_preference(tables: DuckDBPyConnection, models: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how often judges prefer answers of their own family to others: rows of the table `judge_figures`.

    Args:
        tables: The tables of a run.
        models: The models of its recipe as plain data, by their names there.
    """
    judges, answering = _families(tables, "ratings", "judge", models), _families(tables, "responses", "model", models)
    if not set(judges.values()) & set(answering.values()) or len(set(answering.values())) < 2:
        return []
    values = {
        "judges": list(judges),
        "judge_families": list(judges.values()),
        "models": list(answering),
        "model_families": list(answering.values()),
    }
    with_more_memory(tables, lambda: tables.execute(_CASES, values))
    try:
        return [row for name, (hit, interval) in _FIGURES.items() for row in _figures(tables, name, hit, interval)]
    finally:
        tables.execute("DROP TABLE family_cases")


def _figures(tables: DuckDBPyConnection, name: str, hit: str, interval: Any) -> Iterator[dict[str, Any]]:
    for judge, family, *sums in tables.execute(_TOTALS.format(hit=hit)).fetchall():
        found: Interval | None = interval(Totals(*sums))
        if found is not None:
            row = {"figure": name, "judge": judge, "aspect": None, "subject": family}
            yield {**row, **found._asdict(), "cases": round(sums[1])}


def _families(tables: DuckDBPyConnection, table: str, name: str, models: Mapping[str, Any]) -> dict[str, str]:
    """Return the family of everybody who is named in a column; a name without a model is a family by itself."""
    found = tables.execute(_NAMES.format(table=table, name=name)).fetchall()
    return {here: family_of(models.get(label), here) for here, label in found}


def family_of(model: Any, name: str) -> str:
    """Return the family of a model of a recipe, by its own name.

    Args:
        model: The model as the recipe has it, as plain data; anything else has no own name.
        name: Its name there, which is its family if its own name says nothing.
    """
    fields = model if isinstance(model, Mapping) else {}
    own = "hina" if fields.get("kind") == "bundled" else str(fields.get("model") or name)
    base = own.rpartition("/")[2].casefold()
    if _REASONING_GPT.match(base):
        return "gpt"
    line = _LINE.search(base) or _LINE.search(own.casefold())  # the makers' name, as of Qwen/QwQ-32B
    return LINES[line[0]] if line else base
