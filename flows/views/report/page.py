"""The page itself: everything that the report shows, in one file that loads nothing."""

import base64
import hashlib
import time
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kasasagi.blocks.version import installed_version
from kasasagi.blocks.workspace.runs import Product, Run, RunState
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.views.language import current_language, page_words, say
from kasasagi.flows.views.overview.gates import count_outcomes, outcome_of, split_gates
from kasasagi.flows.views.overview.sentence import result_sentence
from kasasagi.flows.views.overview.summary import seconds_taken
from kasasagi.flows.views.report import plots
from kasasagi.flows.views.report.browser import browsed, embedded
from kasasagi.flows.views.report.facts import Facts
from kasasagi.flows.views.report.landscape import Landscape, landscape
from kasasagi.flows.views.report.own_family import own_family
from kasasagi.flows.views.report.shortcuts import shortcuts
from kasasagi.flows.views.safe_text import cut, dollars, duration, plural, visible
from kasasagi.flows.views.table_reader import reading
from kasasagi.tasks.gate.explain.words import SCOPES, plain_name
from kasasagi.tasks.publish.card.markdown import mask_secrets

MOST_BYTES = 3_000_000
SPARE_BYTES = 100_000
DETAIL_CHARS = 300
MOST_GATES = 200
MOST_REASONS = 12
HERE = Path(__file__).parent


def report(run: Run) -> str:
    """Return the report of a run as one HTML page of less than 3 MB; also while the run is active.

    Text from models and data is escaped everywhere, and what is invisible or turns the direction of writing is spelt
    out.

    Raises:
        KasasagiError: If the run has no rows yet or its tables cannot be read.
    """
    with reading(run) as connection:
        facts = Facts(run, connection)
        stages = facts.stages()
        if not stages:
            raise KasasagiError(
                f"the run {run.id} has no finished chunk yet, so there is nothing to report: wait for one"
            )
        found = landscape(facts)
        content = {**_head(facts, stages), **_sections(facts, stages, found), "gates": _gates(facts.gates())}
        content["result"] = _sentence(facts, stages)
        content["gates_summary"] = _gates_summary(content["gates"])
        content["gates"], content["repeated_gates"] = split_gates(content["gates"])
        empty = _rendered(content, facts, [], found)
        pairs = browsed(facts, MOST_BYTES - SPARE_BYTES - len(empty.encode()))
        return _rendered(content, facts, pairs, found)


def _rendered(content: dict[str, Any], facts: Facts, pairs: list[dict[str, Any]], found: Landscape | None) -> str:
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    data = embedded({"pairs": pairs, "map": found.texts if found else {}, "language": page_words()})
    _, count = _product(facts)
    return environment.get_template("page.html.j2").render(
        content,
        data=Markup(data),
        shown_pairs=_shown(facts, len(pairs)),
        found_any=bool(count),
        say=say,
        language=current_language(),
        scopes=SCOPES,
    )


def _shown(facts: Facts, shown: int) -> str:
    """Return how many rows the page shows of how many; where there are no pairs, which prompts gave none and why."""
    product, count = _product(facts)
    rows = plural(count, product.removesuffix("s"))
    if product == "pairs" and not count:
        return _no_pairs(facts, shown)
    if not count:
        return say(f"No {product}.")
    return say(f"{shown:,} of {rows}, the first by id, which is a fair sample." if shown < count else f"All {rows}.")


def _no_pairs(facts: Facts, shown: int) -> str:
    if facts.run.state().status == "running":
        return say("No pairs yet.")
    if not facts.prompts:
        return say("No pairs: no row became a prompt.")
    pairing = {stage["stage"]: stage["reasons"] for stage in facts.stages()}.get("format_dpo", [])
    reasons = visible(", ".join(f"{row['reason']} {row['rows']:,}" for row in pairing[:MOST_REASONS]))
    none = f"{plural(facts.prompts, 'prompt')} gave none"
    why = say(none + ": {reasons}.", reasons=reasons) if reasons else say(none + ".")
    first = say(f"The first {shown:,} by id are below.") if shown < facts.prompts else ""
    return " ".join(part for part in (say("No pairs."), why, first) if part)


def _head(facts: Facts, stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what stands on top, and what the page is made of."""
    state = facts.run.state()
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "state": {**state.model_dump(), "name": visible(state.name), "error": visible(state.error or "")},
        "started": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(state.started)),
        "took": duration(seconds_taken(state)),
        "figures": _figures(facts, state, stages),
        "recipe": visible(str(yaml.safe_dump(mask_secrets(facts.run.recipe()), allow_unicode=True, sort_keys=False))),
        "version": installed_version(),
        "style": Markup((HERE / "page.css").read_text(encoding="utf-8")),
        "script": Markup(script),
        "script_digest": f"sha256-{digest}",
    }


def _product(facts: Facts) -> tuple[Product, int]:
    """Return what the run makes, and how many there are."""
    product = facts.run.product()
    return product, {"pairs": facts.pairs, "responses": facts.responses, "instructions": facts.prompts}[product]


def _sentence(facts: Facts, stages: list[dict[str, Any]]) -> str:
    """Return what the run came to, as its summary in the terminal begins."""
    counted = [{**stage, "reasons": {row["reason"]: row["rows"] for row in stage["reasons"]}} for stage in stages]
    product, count = _product(facts)
    return visible(result_sentence(product, count, counted, facts.gates(), facts.run.state().all_places))


def _figures(facts: Facts, state: RunState, stages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the few numbers that matter most."""
    calls, reused = (sum(stage[name] for stage in stages) for name in ("calls_paid", "calls_reused"))
    tokens = sum(stage["prompt_tokens"] + stage["completion_tokens"] for stage in stages)
    usd = sum(stage["cost_usd"] for stage in stages)
    product, count = _product(facts)
    last = {stage["stage"]: stage for stage in stages}.get("format_dpo")
    share = last["rows_out"] / last["rows_in"] if last and last["rows_in"] else None
    return [
        (product, f"{count:,}"),
        *([("prompts", f"{facts.prompts:,}")] if product != "instructions" else []),
        *([("prompts with a pair", f"{share:.0%}")] if share is not None else []),
        ("calls paid" if usd else "calls sent", f"{calls:,}"),
        *([("calls reused", f"{reused:,}")] if reused else []),
        ("tokens", f"{tokens:,}"),
        ("cost", dollars(usd)),
    ]


def _sections(facts: Facts, stages: list[dict[str, Any]], found: Landscape | None) -> dict[str, Any]:
    parts = [
        ("yield", "Yield", plots.growth_charts(facts)),
        ("texts", "Texts", plots.text_charts(facts)),
        ("map", "Map", [found.chart] if found else []),
        ("ratings", "Ratings", plots.rating_charts(facts)),
        ("cost", "Tokens", plots.cost_charts(stages)),
    ]
    product = facts.run.product()
    audited = shortcuts(facts)
    titles = [(id_, title) for id_, title, charts in parts if charts]
    contents = [
        ("pairs", product.capitalize()),
        ("gates", "Gates"),
        ("funnel", "Funnel"),
        *titles,
        *([("shortcuts", "Shortcuts")] if audited else []),
        ("recipe", "Recipe"),
    ]
    return {
        "parts": parts,
        "contents": contents,
        "product": product,
        "alike": found.alike if found else [],
        "own_family": own_family(facts),
        "shortcuts": audited,
        "stages": [_stage(stage) for stage in stages],
    }


def _stage(stage: dict[str, Any]) -> dict[str, Any]:
    """Return one row of the funnel as it is shown, and its reasons; the rarest ones together if they are several."""
    asked = stage["rows_in"] or 0
    counts = ("rows_in", "rows_out", "quarantined", "calls_paid", "calls_reused", "prompt_tokens", "completion_tokens")
    reasons = [(row["reason"], row["rows"]) for row in stage["reasons"]]
    rare = reasons[MOST_REASONS:]
    if len(rare) > 1:
        reasons = reasons[:MOST_REASONS]
        reasons.append((f"{plural(len(rare), 'more reason')}", sum(rows for _, rows in rare)))
    return {
        "stage": stage["stage"],
        **{name: f"{stage[name]:,}" if stage[name] else "" for name in counts},
        **_share(stage["rows_out"], asked),
        "cost": dollars(stage["cost_usd"]) if stage["calls_paid"] or stage["calls_reused"] else "",
        "time": duration(stage["seconds"]),
        "reasons": [
            {"reason": visible(cut(reason or "", DETAIL_CHARS)), "rows": f"{rows:,}", **_share(rows, asked)}
            for reason, rows in reasons
        ],
    }


def _share(rows: int, asked: int) -> dict[str, Any]:
    share = rows / asked if asked else 0.0
    return {"width": round(min(100.0, 100 * share), 1), "share": f"{share:.0%}" if asked else ""}


def _gates(gates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("stage", "scope", "expectation", "severity", "observed", "detail")
    named = [
        {**gate, "expectation": plain_name(gate["expectation"] or "", gate["stage"])} for gate in gates[:MOST_GATES]
    ]
    return [
        {
            "outcome": outcome_of(gate),
            "success": gate["success"],
            **{name: visible(cut(gate[name] or "", DETAIL_CHARS)) for name in names},
        }
        for gate in named
    ]


def _gates_summary(gates: list[dict[str, Any]]) -> str:
    counts = count_outcomes(gates, "gate")
    return f"{counts[:1].upper()}{counts[1:]}."
