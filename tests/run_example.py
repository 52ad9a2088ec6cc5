"""A small run as it lies on disk, without any model, server or flow: what the tests of readers start from.

Of `prompts` prompts (alternately English and Japanese) the last is a tie, the one before lost a response to a refusal,
and the one before that has an unreadable judge reply, where there are enough of them; all others give a pair.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from kasasagi.blocks.canonical import canonical, ledger_key, prompt_id, response_id
from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.tasks.judge.prompt import Language, judge_messages, second_order
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import build_database

MODELS = ("small", "large")
JUDGE = "critic"
ASPECT = "overall-rating"
ORDERINGS = ("first", "swapped")
GATE_DETAILS = ("share of rows that hold", "verdicts that cannot be read")
"""What stands beside the example's own outcomes of gates, so that a test can tell them from judged ones."""
USD_PER_TOKEN = 1e-6
ANSWERS = {
    "en": ("Water boils when it is hot.", "Water boils at 100 °C at sea level, <b>earlier</b> on a mountain & so on."),
    "ja": (
        "水は熱いと沸騰します。",
        "水は海面の気圧では100℃で沸騰し、山の上ではもっと低い温度で沸騰します。\n「改行」です。",
    ),
}
RECIPE: dict[str, Any] = {
    "name": "two-models-one-judge",
    "source": {"kind": "dataset", "path": "prompts.jsonl", "keep": ["topic"]},
    "models": {
        "small": {"kind": "openai", "base_url": "http://127.0.0.1:8000/v1", "model": "small"},
        "large": {"kind": "openai", "base_url": "http://127.0.0.1:8000/v1", "model": "large", "api_key_env": "KEY"},
        "critic": {
            "kind": "openai",
            "model": "critic",
            "api_key_env": "CRITIC_KEY",
            "usd_per_million_tokens": {"input": 1.0, "output": 1.0},
        },
    },
    "filter": {"rules": [{"min_chars": 10}]},
    "respond": {"models": ["small", "large"], "samples": 1, "sampling": {"temperature": 0.8, "max_tokens": 2048}},
    "judge": {"model": "critic", "aspects": [ASPECT], "orders": "both", "sampling": {"temperature": 0}},
    "pairs": {"strategy": "best_vs_worst", "min_margin": 1},
    "gates": {"on_fail": "stop"},
    "publish": {"path": "out/two-models", "formats": ["trl"], "prompt": "original"},
}


@dataclass
class Example:
    """One prompt of the example and everything made from it."""

    index: int
    fate: str
    responses: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def language(self) -> Language:
        return "ja" if self.index % 2 else "en"

    @cached_property
    def messages(self) -> list[Message]:
        if self.language == "ja":
            return [{"role": "user", "content": f"水は何度で沸騰しますか。({self.index}番目の質問)"}]
        user = {"role": "user", "content": f"At what temperature does water boil? (question {self.index})"}
        if self.index % 4 == 2:
            earlier = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hello. What is it?"}]
            return [{"role": "system", "content": "You are a patient teacher."}, *earlier, user]
        return [user]

    @cached_property
    def prompt_id(self) -> str:
        return prompt_id(self.messages)

    def prompt_row(self) -> dict[str, Any]:
        return {
            "prompt_id": self.prompt_id,
            "messages": self.messages,
            "instruction": self.messages[-1]["content"],
            "source": "prompts.jsonl",
            "position": self.index,
            "topic": "物理" if self.language == "ja" else "physics",
        }


def build_example_run(
    workspace_folder: Path,
    *,
    ended: bool = True,
    prompts: int = 6,
    run_id: str = "20260101-000000-example",
    reused: bool = False,
    recipe: dict[str, Any] | None = None,
) -> Run:
    """Make a run with the handles of all stages in a workspace; with `reused` its responses come from an earlier run.

    A run that has not ended has no run.duckdb and the status running (of this process).
    """
    workspace = Workspace(workspace_folder)
    workspace.prepare()
    run = Run.begin(workspace, run_id, "two-models-one-judge", RECIPE if recipe is None else recipe)
    examples = [Example(index, fate) for index, fate in enumerate(_fates(prompts))]
    _load_and_filter(run, examples)
    middle = (len(examples) + 1) // 2
    for chunk, some in enumerate((examples[:middle], examples[middle:])):
        responded = _respond(run, chunk, some)
        inputs = _inputs(run, some, responded)
        asked = responded.model_copy(update={"inputs": {"prompts": inputs["prompts"]}})
        run.add(asked, reused=reused and chunk == 0)
        run.add(_judge(run, chunk, some).model_copy(update={"inputs": inputs}), reused=False)
    run.add(_format_dpo(run, examples), reused=False)
    if ended:
        build_database(run)
        state = run.state()
        run.save(state.model_copy(update={"status": "done", "ended": state.started + 12.5, "exit_code": 0}))
    return run


def _fates(prompts: int) -> list[str]:
    """The outcome of each prompt: at least the first gives a pair."""
    spoiled = ["unreadable", "refusal", "tie"][max(0, 4 - prompts) :]
    return ["pair"] * (prompts - len(spoiled)) + spoiled


def _handle(
    run: Run, stage: str, chunk: int, account: dict[str, Any], rows: dict[str, list[dict[str, Any]]], **tables: pa.Table
) -> Handle:
    """A handle with those rows as shards; calls also enter the account."""
    calls = rows.get("calls", [])
    if calls:
        counts = ("prompt_tokens", "completion_tokens", "cost_usd")
        account |= {name: sum(call[name] for call in calls) for name in counts}
        account["calls_paid"] = len(calls)
    made = {name: table(name, some) for name, some in rows.items() if some} | tables
    shards: dict[str, Shard] = {name: run.workspace.shards.write(rows_) for name, rows_ in made.items()}
    return Handle(stage=stage, chunk=chunk, run=run.id, shards=shards, account=Account(seconds=1.5, **account))


def _load_and_filter(run: Run, examples: list[Example]) -> None:
    schema = PROMPTS.append(pa.field("topic", pa.string()))
    rows = [example.prompt_row() for example in examples]
    short = [{"role": "user", "content": "Hi?"}]
    refused = {
        "messages": short,
        "instruction": "Hi?",
        "source": "prompts.jsonl",
        "position": len(rows),
        "topic": "chat",
    }
    loaded = [*rows, {"prompt_id": prompt_id(short), **refused}]
    bad = [
        _set_aside("load", f"prompts.jsonl:{len(loaded) + 1}", "empty", "no text", {"instruction": ""}),
        _set_aside("load", f"prompts.jsonl:{len(loaded) + 2}", "broken_json", "line ends early", '{"instruction": "水'),
    ]
    account = {"rows_in": len(loaded) + 2, "rows_out": len(loaded), "quarantined": 2}
    table_of_loaded = pa.Table.from_pylist(loaded, schema)
    run.add(_handle(run, "load", 0, account, {"quarantine": bad}, loaded=table_of_loaded), reused=False)
    out = [_set_aside("filter", prompt_id(short), "min_chars", "3 characters, fewer than 10", refused)]
    account = {"rows_in": len(loaded), "rows_out": len(rows), "quarantined": 1}
    gates = [_gate("filter", "ExpectColumnValueLengthsToBeBetween(instruction)", "warning", True, "1.0")]
    prompts = pa.Table.from_pylist(rows, schema)
    run.add(_handle(run, "filter", 0, account, {"quarantine": out, "gates": gates}, prompts=prompts), reused=False)


def _inputs(run: Run, examples: list[Example], responded: Handle) -> dict[str, Shard]:
    """What a judged chunk is made from, so that its pairs can be rebuilt."""
    prompts = pa.Table.from_pylist(
        [one.prompt_row() for one in examples], PROMPTS.append(pa.field("topic", pa.string()))
    )
    answers = {name: shard for name, shard in responded.shards.items() if name == "responses"}
    return {"prompts": run.workspace.shards.write(prompts), **answers}


def _respond(run: Run, chunk: int, examples: list[Example]) -> Handle:
    calls, quarantine = [], []
    for example in examples:
        for place, model in enumerate(MODELS):
            refuses = example.fate == "refusal" and model == "large"
            text = "I'm sorry, but I can't help with that." if refuses else ANSWERS[example.language][place]
            request = {"max_tokens": 2048, "messages": example.messages, "temperature": 0.8}
            call = _call("respond", model, request, f"{text} ({example.index})")
            calls.append(call)
            row = _response(example, model, call, f"{text} ({example.index})")
            if refuses:
                detail = "the answer begins with: I'm sorry, but I can't"
                quarantine.append(_set_aside("respond", row["response_id"], "refusal", detail, row))
            else:
                example.responses.append(row)
    out = [row for example in examples for row in example.responses]
    account = {"rows_in": len(calls), "rows_out": len(out), "quarantined": len(quarantine)}
    gates = [_gate("respond", "ExpectColumnValuesToBeInSet(refused)", "critical", True, "1.0")] if chunk == 0 else []
    rows = {"responses": out, "calls": calls, "quarantine": quarantine, "gates": gates}
    return _handle(run, "respond", chunk, account, rows)


def _response(example: Example, model: str, call: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "response_id": response_id(example.prompt_id, model, 0, text),
        "prompt_id": example.prompt_id,
        "model": model,
        "sample_index": 0,
        "content": text,
        "finish_reason": "stop",
        "prompt_tokens": call["prompt_tokens"],
        "completion_tokens": call["completion_tokens"],
        "call_id": call["call_id"],
    }


def _judge(run: Run, chunk: int, examples: list[Example]) -> Handle:
    calls, ratings, quarantine = [], [], []
    for example in examples:
        if len(example.responses) < 2:
            quarantine += [
                _set_aside("judge", row["response_id"], "too_few_responses", "nothing to compare it with", row)
                for row in example.responses
            ]
            continue
        for ordering, order in zip(ORDERINGS, ((0, 1), second_order((0, 1))), strict=True):
            unreadable = example.fate == "unreadable" and ordering == ORDERINGS[1]
            call, verdicts = _verdict(example, ordering, order, unreadable)
            calls.append(call)
            ratings += verdicts
            if unreadable:
                quarantine += [
                    _set_aside("judge", row["response_id"], "unreadable", "no rating for Text 1", call["reply"])
                    for row in example.responses
                ]
    asked = sum(len(example.responses) for example in examples)
    account = {"rows_in": asked, "rows_out": asked - len(quarantine), "quarantined": len(quarantine)}
    gates = [_gate("judge", "ExpectColumnValuesToBeInSet(unreadable)", "warning", False, "0.83")] if chunk == 0 else []
    rows = {"ratings": ratings, "calls": calls, "quarantine": quarantine, "gates": gates}
    return _handle(run, "judge", chunk, account, rows)


def _verdict(
    example: Example, ordering: str, order: tuple[int, ...], unreadable: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The judge's call on a prompt's two responses in that order, and the ratings in its reply."""
    shown = [example.responses[place] for place in order]
    texts = [row["content"] for row in shown]
    messages = judge_messages(example.messages, texts, ASPECT, example.language)
    marks = [_mark(example, row["model"]) for row in shown]
    parts = [
        f"#### Output for Text {number}\nRationale: {rationale}\nRating: {rating}"
        for number, (rating, rationale) in enumerate(marks, 1)
    ]
    call = _call(
        "judge", JUDGE, {"messages": messages, "temperature": 0.0}, "Both are fine." if unreadable else "\n".join(parts)
    )
    rows = [
        {
            "response_id": row["response_id"],
            "prompt_id": example.prompt_id,
            "judge": JUDGE,
            "aspect": ASPECT,
            "ordering": ordering,
            "place": place,
            "rating": rating,
            "rationale": rationale,
            "call_id": call["call_id"],
        }
        for place, (row, (rating, rationale)) in enumerate(zip(shown, marks, strict=True), 1)
    ]
    return call, [] if unreadable else rows


def _mark(example: Example, model: str) -> tuple[float, str]:
    if model == "large" or example.fate == "tie":
        return 5.0, "正確で十分です。" if example.language == "ja" else "Correct and complete."
    return 2.0, "あいまいです。" if example.language == "ja" else "Too vague | it gives no number."


def _format_dpo(run: Run, examples: list[Example]) -> Handle:
    reasons = {"unreadable": "missing_rating", "refusal": "too_few_responses", "tie": "tie"}
    pairs = [
        {
            "prompt_id": example.prompt_id,
            "chosen_id": example.responses[1]["response_id"],
            "rejected_id": example.responses[0]["response_id"],
            "chosen_rating": 5.0,
            "rejected_rating": 2.0,
            "margin": 3.0,
        }
        for example in examples
        if example.fate == "pair"
    ]
    dropped = [
        _set_aside("format_dpo", example.prompt_id, reasons[example.fate], "no pair for this prompt", {})
        for example in examples
        if example.fate in reasons
    ]
    account = {"rows_in": len(examples), "rows_out": len(pairs), "quarantined": len(dropped)}
    gates = [_gate("format_dpo", "ExpectTableRowCountToBeBetween", "critical", True, str(len(pairs)))]
    return _handle(run, "format_dpo", 0, account, {"pairs": pairs, "quarantine": dropped, "gates": gates})


def _call(stage: str, model: str, request: dict[str, Any], text: str) -> dict[str, Any]:
    asked = sum(len(message["content"]) for message in request["messages"]) // 4 + 8
    completion_tokens = len(text) // 4 + 1
    reply = {
        "text": text,
        "finish_reason": "stop",
        "prompt_tokens": asked,
        "completion_tokens": completion_tokens,
        "attempts": 1,
    }
    return {
        "call_id": ledger_key(model, request, 0),
        "stage": stage,
        "model": model,
        "request": canonical(request).decode(),
        "reply": canonical(reply).decode(),
        "finish_reason": "stop",
        "prompt_tokens": asked,
        "completion_tokens": completion_tokens,
        "cost_usd": USD_PER_TOKEN * (asked + completion_tokens) if model == JUDGE else 0.0,
        "attempts": 1,
        "reused": False,
    }


def _set_aside(stage: str, row_id: str, reason: str, detail: str, payload: Any) -> dict[str, Any]:
    text = payload if isinstance(payload, str) else canonical(payload).decode()
    return {"stage": stage, "row_id": row_id, "reason": reason, "detail": detail, "payload": text}


def _gate(stage: str, expectation: str, severity: str, success: bool, observed: str) -> dict[str, Any]:
    detail = GATE_DETAILS[0] if success else GATE_DETAILS[1]
    return {
        "stage": stage,
        "scope": "whole",
        "expectation": expectation,
        "severity": severity,
        "success": success,
        "observed": observed,
        "detail": detail,
    }
