"""Finished runs to mix, as they lie on disk, and a mix of them that is made in this process, without Prefect."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from kasasagi.blocks.canonical import prompt_id, response_id
from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.flows.check.parts import with_runs
from kasasagi.flows.mix import mix_runs
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe
from kasasagi.flows.run.options import Options
from kasasagi.tasks.asking import Session
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import build_database, open_tables
from tests.golden.driver import AtOnce, Driven, Recorder
from tests.run_example import RECIPE

Rows = list[dict[str, Any]]


def words(count: int, subject: str, start: int = 0) -> list[str]:
    """Texts that are not alike."""
    return [
        f"{subject} {n}: {'abcdefghij'[n % 10] * 9} {subject[::-1]} {n * n * 7919:x}{n:x} ?"
        for n in range(start, start + count)
    ]


def finished_run(
    folder: Path,
    run_id: str,
    texts: Sequence[str],
    *,
    name: str = "job",
    pairs_each: int = 1,
    kept: Mapping[str, Any] | None = None,
    gates: Rows | None = None,
    **recipe: Any,
) -> Run:
    """A run that ended well, with a pair or several from each text.

    kept is the value of each column that all its prompts keep, gates are outcomes of gates.
    """
    workspace = Workspace(folder)
    workspace.prepare()
    run = Run.begin(workspace, run_id, name, {**RECIPE, "name": name, **recipe})
    rows: dict[str, Rows] = {
        "prompts": [],
        "responses": [],
        "ratings": [],
        "pairs": [],
        "calls": [],
        "gates": gates or [],
    }
    for place, text in enumerate(texts):
        _add_prompt(rows, text, place, pairs_each, kept or {})
    more = [pa.field(key, pa.scalar(value).type) for key, value in (kept or {}).items()]
    shards = {
        key: workspace.shards.write(
            pa.Table.from_pylist(some, pa.schema([*PROMPTS, *more])) if key == "prompts" else table(key, some)
        )
        for key, some in rows.items()
        if some
    }
    account = Account(rows_in=len(texts), rows_out=len(texts))
    run.add(Handle(stage="format_dpo", run=run_id, shards=shards, account=account), reused=False)
    build_database(run)
    run.save(run.state().model_copy(update={"status": "done", "exit_code": 0}))
    return run


def _add_prompt(rows: dict[str, Rows], text: str, place: int, pairs_each: int, kept: Mapping[str, Any]) -> None:
    messages = [{"role": "user", "content": text}]
    name = prompt_id(messages)
    prompt = {"prompt_id": name, "messages": messages, "instruction": text, "source": "x.jsonl", "position": place}
    rows["prompts"].append({**prompt, **kept})
    contents = [f"worse answer to {text}", *(f"better answer {n} to {text}" for n in range(pairs_each))]
    ids = []
    for number, content in enumerate(contents):
        model, sample = ("large", number - 1) if number else ("small", 0)
        call = f"call {name} {number}"
        ids.append(response_id(name, model, sample, content))
        response = {
            "response_id": ids[-1],
            "prompt_id": name,
            "model": model,
            "sample_index": sample,
            "content": content,
        }
        rows["responses"].append({**response, "finish_reason": "stop", "call_id": call})
        request = '{"messages": [{"role": "user", "content": "sent"}]}'
        rows["calls"].append({"call_id": call, "stage": "respond", "model": model, "request": request, "cost_usd": 1.0})
        rating = {"response_id": ids[-1], "prompt_id": name, "judge": "critic", "aspect": "overall-rating"}
        for ordering in ("first", "swapped"):
            mark = {"ordering": ordering, "rating": 4.0 + bool(number), "rationale": "why", "call_id": f"judge {name}"}
            rows["ratings"].append({**rating, **mark})
    sides = {"chosen_rating": 5.0, "rejected_rating": 4.0, "margin": 1.0}
    rows["pairs"] += [{"prompt_id": name, "chosen_id": one, "rejected_id": ids[0], **sides} for one in ids[1:]]


def load_mix(folder: Path, parts: Mapping[str, Any], base: Path | None = None, **changes: Any) -> LoadedRecipe:
    """A recipe that mixes parts, with its runs named by their whole ids; changes of source are laid over the source."""
    source = {"kind": "runs", "parts": dict(parts), **changes.pop("source", {})}
    base = base or folder
    recipe = check_recipe({"name": "mixed", "source": source, **changes}, base)
    return with_runs(LoadedRecipe(recipe=recipe, base=base), Workspace(folder))


def mixed(folder: Path, parts: Mapping[str, Any], *, limit: int | None = None, number: int = 0, **changes: Any) -> Run:
    """A run that mixes parts; its gates are not judged."""
    loaded = load_mix(folder, parts, **changes)
    workspace, recipe = Workspace(folder), loaded.recipe
    run = Run.begin(workspace, f"mix-{number}", recipe.name, recipe.plain(), loaded.base, limit)
    recorder = Recorder(workspace, {}, {})
    with Claims(workspace, run.id) as claims:
        session = Session(run, {}, {}, cast(Dispatcher, recorder), claims, base=loaded.base)
        context = Context(session, recipe, loaded.base, limit)
        with activate(context):
            asyncio.run(mix_runs(AtOnce(context, Options(workspace, publish=False), recorder, Driven())))
    build_database(run)
    run.save(run.state().model_copy(update={"status": "done", "exit_code": 0}))
    return run


def rows_of(run: Run, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query over a run's tables."""
    with open_tables(run) as connection:
        return connection.execute(query).fetchall()
