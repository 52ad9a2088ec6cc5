"""The requests under way in the dispatcher: questions, those of a chunk with their answers so far, and total counts."""

from concurrent.futures import Future
from dataclasses import dataclass, replace

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.models.llm import Completion, Request


@dataclass(frozen=True, slots=True)
class Question:
    """One sample to ask a model for, by its label in the recipe; its ledger key is made of most other fields.

    Questions of one prefix have requests that begin alike; they are sent together and to one address. row_id names the
    row that a question is about, where no table of the stage names the call.
    """

    label: str
    key: str
    request: Request
    draw: int = 0
    round: int = 0
    prefix: str = ""
    row_id: str | None = None

    @classmethod
    def of(
        cls, label: str, identity: str, request: Request, draw: int = 0, round_: int = 0, prefix: str = ""
    ) -> "Question":
        """Return the question for one sample of a model, which the ledger knows by its identity."""
        return cls(label, ledger_key(identity, request, draw, round_), request, draw, round_, prefix)

    def about(self, row_id: str | None) -> "Question":
        """Return the same question, about a row."""
        return replace(self, row_id=row_id)


@dataclass(slots=True)
class Counters:
    """What was asked and answered in this process, for progress lines.

    While nothing is in flight though something waits: next_at is when the next call may be sent, in seconds of the
    monotonic clock, and short_of the limit of Prefect's of which this process holds no slot.
    """

    asked: int = 0
    answered: int = 0
    failed: int = 0
    retried: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    next_at: float | None = None
    short_of: str | None = None


class PendingRequest:
    """The questions of one chunk and the answers so far; resolves when all are answered. Used in the loop alone."""

    def __init__(self, count: int) -> None:
        self.future: Future[list[Completion]] = Future()
        self._answers: list[Completion | None] = [None] * count
        self._missing = count

    def answer(self, index: int, completion: Completion) -> None:
        """Take one answer; the last one wakes the chunk."""
        if self._answers[index] is None and not self.future.done():
            self._answers[index] = completion
            self._missing -= 1
            if not self._missing:
                self.future.set_result([answer for answer in self._answers if answer is not None])

    def fail(self, error: BaseException) -> None:
        """Wake the chunk with an error, unless it is awake already."""
        if not self.future.done():
            self.future.set_exception(error)
