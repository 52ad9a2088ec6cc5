"""What the ledger knows about some questions: the answers to them, else those to the same under another limit."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kasasagi.blocks.canonical import canonical
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.ledger.answer_limits import (
    Limit,
    known_limits,
    limit_of,
    most_tokens,
    note_earlier_limits,
    note_limits,
    with_limit,
)
from kasasagi.blocks.ledger.store import Ledger
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.tasks.text.endings import is_cut_off


@dataclass(frozen=True, slots=True)
class Known:
    """An answer, and the question that it was given to, whose limit may be another than that of today's question."""

    question: Question
    completion: Completion


class LedgerLookup:
    """Looks up a group of requests in the ledger of a workspace.

    A request without an entry gets the answer to the same request under another limit, if that answer ended by itself
    and fits the new limit. Requests that differ only in their limits are meant to have different answers, such as two
    responders with one model: none of them gets an answer under another limit.

    Args:
        workspace: The workspace.
        identities: The models' names in the ledger, by their labels.
        ask_again: Reasons of stored failures that are retried.
        questions: All requests of the group.
    """

    def __init__(
        self,
        workspace: Workspace,
        identities: Mapping[str, str],
        ask_again: frozenset[str],
        questions: Sequence[Question],
    ) -> None:
        self._workspace = workspace
        self._identities = identities
        self._ask_again = ask_again
        self._apart = _differing_in_limits(identities, questions)

    def find(self, questions: Sequence[Question]) -> dict[str, Known]:
        """Return the answers to some of the questions that are in the ledger, by key. Raises LedgerError."""
        ledger = Ledger(self._workspace.ledger_folder)
        try:
            answers = ledger.known([one.key for one in questions], self._ask_again)
            found = {one.key: Known(one, answers[one.key]) for one in questions if one.key in answers}
            missing = [one for one in questions if one.key not in found and self._may_have_another(one)]
            return {**found, **self._under_other_limits(ledger, missing)} if missing else found
        finally:
            ledger.close()

    def note_limits(self, questions: Sequence[Question]) -> None:
        """Record the limits of questions that are about to be sent. Raises LedgerError."""
        ledger = Ledger(self._workspace.ledger_folder)
        try:
            limits = ((self._identities[one.label], limit_of(one.request)) for one in questions)
            note_limits(ledger, self._workspace, limits)
        finally:
            ledger.close()

    def _may_have_another(self, question: Question) -> bool:
        return "input" not in question.request and question.key not in self._apart

    def _under_other_limits(self, ledger: Ledger, questions: Sequence[Question]) -> dict[str, Known]:
        if not ledger.has_limits():
            note_earlier_limits(ledger, [self._workspace])
        limits = {label: known_limits(ledger, self._identities[label]) for label in {one.label for one in questions}}
        others = {one.key: self._with_other_limits(one, limits[one.label]) for one in questions}
        answers = ledger.known([other.key for some in others.values() for other in some])
        found: dict[str, Known] = {}
        for question in questions:
            stored = [Known(other, answers[other.key]) for other in others[question.key] if other.key in answers]
            if (fitting := next((one for one in stored if _fits(one, limit_of(question.request))), None)) is not None:
                found[question.key] = fitting
        return found

    def _with_other_limits(self, question: Question, limits: Sequence[Limit]) -> list[Question]:
        """Return a question under each other limit; none where its key is not made of its parts."""
        identity, own = self._identities[question.label], limit_of(question.request)
        others = [limit for limit in limits if limit != own]
        if not others or _of(question, identity, own).key != question.key:
            return []
        return [_of(question, identity, limit) for limit in others]


def _of(question: Question, identity: str, limit: Limit) -> Question:
    request = with_limit(question.request, limit)
    return Question.of(question.label, identity, request, question.draw, question.round)


def _fits(known: Known, limit: Limit) -> bool:
    """Return whether an answer ended by itself, and is no longer than a limit."""
    completion, earlier_limit = known.completion, most_tokens(limit_of(known.question.request))
    tokens, most = completion.completion_tokens, most_tokens(limit)
    if completion.error is not None or is_cut_off(completion.finish_reason):
        return False
    if not completion.finish_reason and not 0 < tokens < earlier_limit:
        return False  # the server does not say how it ended, and its length leaves that open
    return most >= earlier_limit or 0 < tokens <= most


def _differing_in_limits(identities: Mapping[str, str], questions: Sequence[Question]) -> frozenset[str]:
    """Return the keys of questions that differ from another one in their limits alone."""
    limits: dict[str, set[bytes]] = defaultdict(set)
    for one in questions:
        limits[identities[one.label]].add(canonical(limit_of(one.request)))
    keys: dict[str, set[str]] = defaultdict(set)
    for one in questions:
        if len(limits[identity := identities[one.label]]) > 1:
            keys[_of(one, identity, {}).key].add(one.key)
    return frozenset(key for some in keys.values() if len(some) > 1 for key in some)
