"""Runs the rows of one chunk through a user's own stage and sends their requests together."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import Sampling
from kasasagi.blocks.models.llm import Message
from kasasagi.tasks.asking import Answered, ChunkJob, Session
from kasasagi.tasks.own.writing import Ask, Kind, OwnFunction, RejectError
from kasasagi.tasks.parsing import ParsedReply, UnreadableError, ask_readable, question, request_body

AGAIN = "That could not be read: {problem}. Answer once more in the form that was asked for, and add nothing."


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A row whose function waits for a reply."""

    work: Generator[Ask, Any, Any]
    ask: Ask
    question: Question


class OwnRows:
    """The rows of a chunk, each on its way through the function until it returns or is rejected.

    Attributes:
        outcomes: By a row's place, the values of its columns, or why it is rejected.
        replies: By a row's place, the reply that could not be read.
        answered: Every answer there was.
    """

    def __init__(self, session: Session, job: ChunkJob) -> None:
        self.outcomes: dict[int, Mapping[str, Any] | RejectError] = {}
        self.replies: dict[int, str] = {}
        self.answered: list[Answered] = []
        self._session, self._job = session, job
        self._waiting: dict[int, _Waiting] = {}
        self._columns: Mapping[str, Kind] = {}
        self._ids: Sequence[str] = ()

    def run(self, function: OwnFunction, settings: Any, rows: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> None:
        """Take all rows, each with its id, through a function. Raises what the dispatcher raises."""
        self._columns, self._ids = function.columns, ids
        for place, row in enumerate(rows):
            self._begin(place, function, settings, row)
        while self._waiting:
            self._ask_all()

    def _begin(self, place: int, function: OwnFunction, settings: Any, row: Mapping[str, Any]) -> None:
        try:
            work = function(settings, row)
        except Exception as error:
            self.outcomes[place] = _rejection(error)
            return
        if isinstance(work, Generator):
            self._continue(place, work, None)
        else:
            self.outcomes[place] = self._check_values(work)

    def _continue(self, place: int, work: Generator[Ask, Any, Any], value: Any) -> None:
        """Give a row's function what was read, and note its next question or what it returned."""
        try:
            ask = work.send(value)
            self._waiting[place] = _Waiting(work, ask, self._question(ask).about(self._ids[place]))
        except StopIteration as end:
            self.outcomes[place] = self._check_values(end.value)
        except Exception as error:  # any error concerns this row alone
            self.outcomes[place] = _rejection(error)

    def _check_values(self, values: Any) -> Mapping[str, Any] | RejectError:
        """Return what a function returned for a row, if it is what its columns hold."""
        if values is None:
            values = {}
        if not isinstance(values, Mapping):
            return RejectError("error", f"the stage returned {values!r}, and not a value for each of its columns")
        for name, kind in self._columns.items():
            if (value := values.get(name)) is not None and not _fits(value, kind):
                return RejectError("error", f"the stage returned {value!r} for {name}, which holds {kind.__name__}")
        return values

    def _ask_all(self) -> None:
        pending, self._waiting = self._waiting, {}
        questions = [one.question for one in pending.values()]
        reads = [partial(_read, one.ask.read) for one in pending.values()]
        parsed, answers = ask_readable(self._session, questions, reads, _again, self._job.stage, self._job.chunk)
        self.answered += answers
        for (place, one), reply in zip(pending.items(), parsed, strict=True):
            self._take(place, one.work, reply)

    def _take(self, place: int, work: Generator[Ask, Any, Any], one: ParsedReply[Any]) -> None:
        if one.problem is None:
            self._continue(place, work, one.value)
        else:
            work.close()
            self.outcomes[place] = RejectError(one.problem.reason, one.problem.detail)
            self.replies[place] = one.reply

    def _question(self, ask: Any) -> Question:
        """Return the question that a function yielded.

        Raises:
            ValueError: If it is none.
        """
        models = self._session.models
        if not isinstance(ask, Ask):
            raise ValueError(f"the stage yielded {ask!r}: yield Ask(model, messages)")  # noqa: TRY004
        if ask.model not in models:
            raise ValueError(f"the stage asks {ask.model!r}: name one of the recipe's models, {', '.join(models)}")
        body = request_body(self._session, ask.model, Sampling.model_validate(dict(ask.sampling)))
        return question(self._session, ask.model, list(ask.messages), body)


def _read(read: Callable[[str], Any], reply: str) -> Any:
    """Read a reply; whatever else the user's reader raises says that the reply is unreadable, too."""
    try:
        return read(reply)
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError("unreadable", f"{type(error).__name__}: {error}") from error


def _fits(value: Any, kind: Kind) -> bool:
    """Return whether a column of a kind can hold a value; a whole number is a fraction, too, and no yes is a number."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _rejection(error: Exception) -> RejectError:
    return error if isinstance(error, RejectError) else RejectError("error", f"{type(error).__name__}: {error}")


def _again(asked: Question, reply: str, problem: str) -> list[Message]:
    earlier: list[Message] = list(asked.request["messages"])
    return [
        *earlier,
        {"role": "assistant", "content": reply},
        {"role": "user", "content": AGAIN.format(problem=problem)},
    ]
