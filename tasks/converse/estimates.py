"""How many calls dialogues take at most, and about how many tokens."""

from collections.abc import Iterator

from kasasagi.blocks.dispatch.estimates import TOKENS_GUESSED
from kasasagi.tasks.converse.plan import Dialogues
from kasasagi.tasks.stage import PROMPT_TOKENS_GUESSED, Guess


def calls_at_most(plan: Dialogues, turns: int, *, answered: bool, tokens: int, dialogues: int = 1) -> Iterator[Guess]:
    """Yield the calls of some dialogues until each has all its turns.

    Args:
        plan: How dialogues continue.
        turns: Turns of the user that each has already.
        answered: Whether the last of these turns has its answer.
        tokens: Tokens of each dialogue so far.
        dialogues: How many dialogues there are.
    """
    for _ in range(turns, plan.count):
        if not answered:
            yield Guess(plan.answerer, dialogues, dialogues * tokens, plan.answers.sampling.max_tokens)
            tokens += _answer_tokens(plan)
        yield Guess(plan.model, dialogues, dialogues * tokens, plan.sampling.max_tokens)
        tokens += PROMPT_TOKENS_GUESSED
        answered = False


def earlier_tokens(plan: Dialogues | None) -> int:
    """Return about how many tokens stand before the last turn of a dialogue that began as a single one."""
    return 0 if plan is None else (plan.count - 1) * (PROMPT_TOKENS_GUESSED + _answer_tokens(plan))


def _answer_tokens(plan: Dialogues) -> int:
    most = plan.answers.sampling.max_tokens
    return TOKENS_GUESSED if most is None else min(most, TOKENS_GUESSED)
