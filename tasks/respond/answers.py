"""Respond: every model answers every prompt as often as the recipe asks; what cannot be judged is quarantined."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kasasagi.blocks.canonical import digest, response_id
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import extra_body_of
from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk, quarantine_row
from kasasagi.tasks.respond.checks import Checks
from kasasagi.tasks.respond.config import EQUAL_ANSWER, PLAIN_TEMPLATE, RespondConfig, Responder
from kasasagi.tasks.respond.stage import RESPOND
from kasasagi.tasks.stage import Example
from kasasagi.tasks.text.thoughts.thinking import split_thinking


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer that a prompt waits for."""

    prompt_id: str
    label: str
    sample_index: int
    question: Question


@lru_cache(maxsize=8)
def compile_template(template: str) -> Template:
    """Return the template in a sandbox; a column that it does not know is an error."""
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(template)


def conversation(prompt: Mapping[str, Any], template: str, system_prompt: str | None) -> list[Message]:
    """Return the messages that a responder is sent: the last turn through the template, the system prompt in front.

    A prompt's own system message stays and outranks the recipe's; an empty system prompt is none. Raises what the
    template raises.
    """
    messages = [{"role": m["role"], "content": m["content"]} for m in prompt["messages"]]
    if template != PLAIN_TEMPLATE:
        messages[-1] = {"role": "user", "content": compile_template(template).render(prompt)}
    if system_prompt and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system_prompt})
    return messages


def example(recipe: Any, base: Path, row: Mapping[str, Any]) -> Iterator[Example]:
    """Yield what each responder is sent, as JSON for a person. Raises what the template raises."""
    config: RespondConfig = recipe.respond
    for responder in config.models:
        sampling = responder.sampling.over(config.sampling.over(recipe.models[responder.use].sampling)).parameters()
        messages = conversation(row, config.template, config.system_of(responder))
        request = orjson.dumps({"messages": messages, **sampling}, option=orjson.OPT_INDENT_2)
        yield Example("{model} is asked", responder.name, request.decode())


def questions_for(session: Session, config: RespondConfig, prompts: Sequence[Mapping[str, Any]]) -> list[Asked]:
    """Return every answer that some prompts wait for, sample by sample, so that more samples only add questions.

    A prompt that the template cannot render is not asked.
    """
    bodies = [_body(session, config, responder) for responder in config.models]
    samples = max(responder.samples or config.samples for responder in config.models)
    asked: list[Asked] = []
    for prompt in prompts:
        if template_problem(config, prompt) is None:
            asked += _questions_for_prompt(session, config, prompt, bodies, samples)
    return asked


def template_problem(config: RespondConfig, prompt: Mapping[str, Any]) -> str | None:
    """Return why the template cannot render a prompt, if it cannot."""
    try:
        conversation(prompt, config.template, None)
    except Exception as error:  # a template error concerns this row alone
        return f"the template cannot render this row ({type(error).__name__}: {error})"
    return None


def _quarantine_unaskable(config: RespondConfig, prompts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Quarantine rows for the answers that no model is asked for, since the template cannot render their prompts."""
    quarantine = []
    for prompt in prompts:
        if (problem := template_problem(config, prompt)) is not None:
            for responder in config.models:
                for sample in range(responder.samples or config.samples):
                    row = {"prompt_id": prompt["prompt_id"], "model": responder.name, "sample_index": sample}
                    payload = {**row, "instruction": prompt["instruction"]}
                    quarantine.append(quarantine_row(RESPOND.name, digest(row), "template", problem, payload))
    return quarantine


def _body(session: Session, config: RespondConfig, responder: Responder) -> dict[str, Any]:
    """Return the part of a responder's requests that is the same for all prompts."""
    model = session.models[responder.use]
    sampling = responder.sampling.over(config.sampling.over(model.sampling)).parameters()
    return {**sampling, **extra_body_of(model)}


def _questions_for_prompt(
    session: Session,
    config: RespondConfig,
    prompt: Mapping[str, Any],
    bodies: Sequence[Mapping[str, Any]],
    samples: int,
) -> list[Asked]:
    requests = [
        {"messages": conversation(prompt, config.template, config.system_of(r)), **body}
        for r, body in zip(config.models, bodies, strict=True)
    ]
    kinds = [digest([session.identities[r.use], q]) for r, q in zip(config.models, requests, strict=True)]
    draws: Counter[str] = Counter()
    asked = []
    for sample in range(samples):
        for responder, request, kind in zip(config.models, requests, kinds, strict=True):
            if sample >= (responder.samples or config.samples):
                continue
            # Two responders that ask one model the same thing take different draws, or they would share one answer.
            prefix = prompt["prompt_id"] if (responder.samples or config.samples) > 1 else ""
            identity = session.identities[responder.use]
            question = Question.of(responder.use, identity, request, draws[kind], prefix=prefix)
            draws[kind] += 1
            asked.append(Asked(prompt["prompt_id"], responder.name, sample, question))
    return asked


def _ask_by_responder(session: Session, asked: Sequence[Asked], order: int) -> list[Answered]:
    """Return all answers, in their order; samples of one responder are sent side by side, so that they share calls."""
    first: dict[tuple[str, str], int] = {}
    places = [first.setdefault((one.prompt_id, one.label), place) for place, one in enumerate(asked)]
    sent = sorted(range(len(asked)), key=places.__getitem__)
    answered = ask(session, [asked[place].question for place in sent], RESPOND.name, order)
    return [one for _, one in sorted(zip(sent, answered, strict=True), key=itemgetter(0))]


def respond_chunk(
    session: Session, config: RespondConfig, job: ChunkJob, compared: bool = True, beside: ChunkResult | None = None
) -> Handle:
    """Answer one chunk of prompts and keep the answers.

    Args:
        session: The run's session.
        config: Who responds, and by which rules.
        job: The chunk.
        compared: Whether pairs are made of the answers; then one of equal answers is enough.
        beside: Answers that are there already, which the asked ones join.
    """
    started = time.monotonic()
    table = session.run.workspace.shards.read(job.inputs["prompts"])
    prompts = table.to_pylist()
    asked = questions_for(session, config, prompts)
    answered = _ask_by_responder(session, asked, job.chunk)
    taken = beside or ChunkResult(0, 0, {"responses": [], "quarantine": []})
    checks = Checks.of(config, session.base, table.schema)
    result = sort_answers(checks, prompts, asked, answered, compared, taken.rows["responses"])
    not_asked = _quarantine_unaskable(config, prompts)
    result.rows["responses"] = taken.rows["responses"] + result.rows["responses"]
    result.rows["quarantine"] += not_asked + taken.rows["quarantine"]
    result.rows_in += len(not_asked) + taken.rows_in
    result.rows_out += taken.rows_out
    return keep_chunk(session.run, session.models, job, result, started)


def sort_answers(
    checks: Checks,
    prompts: Sequence[Mapping[str, Any]],
    asked: Sequence[Asked],
    answered: Sequence[Answered],
    compared: bool = True,
    taken: Sequence[Mapping[str, Any]] = (),
) -> ChunkResult:
    """Return the responses that may be judged, and those quarantined with the first reason that holds.

    Args:
        checks: What each answer must pass.
        prompts: The prompts that were asked.
        asked: What was asked.
        answered: The answers, in the same order.
        compared: Whether pairs are made of them, so that of equal answers to a prompt one is enough.
        taken: Answers that are there already.
    """
    by_id = {prompt["prompt_id"]: prompt for prompt in prompts}
    rows = [_response(one, answer) for one, answer in zip(asked, answered, strict=True)]
    problems = checks.problems(by_id, rows, [answer.completion for answer in answered], taken)
    responses: list[dict[str, Any]] = []
    quarantine: list[dict[str, Any]] = []
    seen = {(row["prompt_id"], row["content"].strip()) for row in taken}
    for row, found in zip(rows, problems, strict=True):
        text = row["prompt_id"], row["content"].strip()
        problem = found or (_EQUAL if text in seen else None)
        if problem is not None:
            quarantine.append(quarantine_row(RESPOND.name, row["response_id"], *problem, row))
            continue
        if compared:
            seen.add(text)
        responses.append(row)
    tables = {"responses": responses, "quarantine": quarantine}
    return ChunkResult(len(asked), len(responses), tables, answered)


_EQUAL = (EQUAL_ANSWER, "another answer to this prompt says the same, so there is nothing to compare")


def _response(one: Asked, answer: Answered) -> dict[str, Any]:
    completion = answer.completion
    content, thinking = split_thinking(completion.text, completion.reasoning)
    return {
        "response_id": response_id(one.prompt_id, one.label, one.sample_index, content),
        "prompt_id": one.prompt_id,
        "model": one.label,
        "sample_index": one.sample_index,
        "content": content,
        "thinking": thinking,
        "finish_reason": completion.finish_reason,
        "stop_reason": completion.stop_reason,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "call_id": answer.call.key,
    }
