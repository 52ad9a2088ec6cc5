"""The items of each prompt: from a column, from the recipe, or written by a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kasasagi.blocks.dispatch.estimates import TOKENS_GUESSED
from kasasagi.tasks.asking import Answered, Session, ask
from kasasagi.tasks.judge.checkers.truths import is_missing
from kasasagi.tasks.judge.checklist.config import Item, read_items
from kasasagi.tasks.judge.checklist.writing import PROMPT, items_question, mark_of, read_written
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.stage import JUDGE
from kasasagi.tasks.parsing import ParsedReply, read_or_repair, repair_with, systems
from kasasagi.tasks.stage import TEMPLATE_TOKENS_GUESSED, Guess

Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True, slots=True)
class PromptItems:
    """The items of one prompt, or why there are none.

    Attributes:
        items: The items; empty where there are none.
        reason: Why not, for machines.
        detail: Why not, for people.
        reply: What the writer replied, where it cannot be read; None where no model was asked.
    """

    items: tuple[Item, ...] = ()
    reason: str = ""
    detail: str | None = None
    reply: str | None = None


def items_for(
    session: Session, config: JudgeConfig, prompts: Rows, responses: Mapping[str, Rows], chunk: int
) -> tuple[dict[str, PromptItems], list[Answered]]:
    """Return the items of each prompt by its id, and every answer of the model that wrote them.

    Args:
        session: The run's session.
        config: The judge's configuration.
        prompts: The prompts whose responses are rated.
        responses: These responses by prompt, for plans: so many ratings follow once the items are written.
        chunk: The chunk's number.
    """
    if config.items_writer is None:
        return {row["prompt_id"]: _given(config, row) for row in prompts}, []
    questions = [items_question(session, config, row) for row in prompts]
    reads = [partial(read_written, mark_of(config, row)) for row in prompts]
    again = repair_with(PROMPT, systems(PROMPT)) if config.repairs else None
    then = partial(_ratings_behind, config, [len(responses[row["prompt_id"]]) for row in prompts])
    first = ask(session, questions, JUDGE.name, chunk, then)
    parsed, answered = read_or_repair(session, first, reads, again, JUDGE.name, chunk)
    return {row["prompt_id"]: _written(one) for row, one in zip(prompts, parsed, strict=True)}, answered


def _given(config: JudgeConfig, prompt: Row) -> PromptItems:
    """Return the items of the recipe, or those in a prompt's column."""
    if not isinstance(config.items, str):
        return PromptItems(config.items or ())
    value = prompt.get(config.items)
    if is_missing(value):
        return PromptItems(reason="no_items", detail=f"the column {config.items} is empty in this row")
    try:
        found = read_items(value)
    except ValueError as error:
        return PromptItems(reason="bad_items", detail=f"the column {config.items} has no items: {error}")
    return PromptItems(found, "" if found else "no_items", f"the column {config.items} lists no item in this row")


def _written(one: ParsedReply[tuple[Item, ...]]) -> PromptItems:
    if one.value is not None:
        return PromptItems(one.value)
    reason, detail = (one.problem.reason, one.problem.detail) if one.problem else ("no_items", None)
    return PromptItems(reason=reason, detail=detail and f"the items cannot be read: {detail}", reply=one.reply)


def _ratings_behind(config: JudgeConfig, counts: Sequence[int], place: int) -> list[Guess]:
    """Return the calls that rate the responses to a prompt once its items are written."""
    return _rating_guess(config, counts[place])


def checklist_guess(config: JudgeConfig, prompts: int, answers: int, earlier_tokens: int) -> list[Guess]:
    """Return the most calls about prompts without responses so far: those that write the items, and those that rate.

    Args:
        config: The judge's configuration.
        prompts: The number of prompts.
        answers: The number of responses to each.
        earlier_tokens: Tokens of the turns before a prompt's last one.
    """
    writer, tokens = config.items_writer, prompts * (earlier_tokens + TEMPLATE_TOKENS_GUESSED)
    writing = [Guess(writer, prompts, tokens, config.sampling.max_tokens)] if writer is not None else []
    return [*writing, *_rating_guess(config, prompts * answers, earlier_tokens)]


def _rating_guess(config: JudgeConfig, responses: int, earlier_tokens: int = 0) -> list[Guess]:
    """Return the most calls that rate some responses, one for each of them and each judge; none without judges."""
    tokens = responses * (earlier_tokens + TEMPLATE_TOKENS_GUESSED + TOKENS_GUESSED)
    return [Guess(vote.use, responses, tokens, config.sampling.max_tokens) for vote in config.votes if vote.use]
