"""A session whose models are answered by a function, in place of servers: for tests of the stages' own logic."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.tasks.asking import ChunkResult, Session
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.format_dpo.pairs import make_pairs
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.votes import candidates_by_prompt
from kasasagi.tasks.token_counts import TokenCounter


class AnsweringDispatcher:
    """Answers each question by a function and keeps the lasting answers, as the real one does."""

    has_budget = False
    refused_by = None
    refused_ranks: frozenset[int] = frozenset()

    def __init__(self, folder: Path, models: Mapping[str, ModelConfig], answer: Callable[[Question], Completion]):
        self.asked: list[Question] = []
        self.orders: list[tuple[int, int]] = []
        self._folder = folder
        self._answer = answer
        self._models = models

    def ask(self, questions: Sequence[Question], rank: int = 0, order: int = 0) -> list[Completion]:
        self.asked += questions
        self.orders.append((rank, order))
        completions = [self._answer(question) for question in questions]
        ledger = Ledger(self._folder)
        ledger.append(
            [
                LedgerEntry(question.key, question.label, completion)
                for question, completion in zip(questions, completions, strict=True)
                if not completion.transient
            ]
        )
        ledger.close()
        return completions

    def reserve_for(self, plans: Mapping[int, object]) -> None:
        """There is no budget here whose later stages would keep a share."""

    def finish_first(self) -> None:
        """Answers come at once, so that no order of stages is kept."""

    def raise_if_stopped(self) -> None:
        pass

    def pending(self, keys: Collection[str]) -> set[str]:
        return set()


def good(question: Question) -> Completion:
    text = f"An answer about {question.request['messages'][-1]['content']!r} by {question.label}: {question.key[:6]}."
    return Completion(text=text, finish_reason="stop", prompt_tokens=7, completion_tokens=11)


def model(name: str, **fields: Any) -> OpenAIModel:
    return OpenAIModel.model_validate({"kind": "openai", "model": name, "base_url": "http://127.0.0.1:1/v1", **fields})


def session(
    folder: Path,
    models: Mapping[str, ModelConfig] | None = None,
    answer: Callable[[Question], Completion] = good,
    run_id: str = "run",
    **fields: Any,
) -> Session:
    """A session in a run of its own, in the workspace of that folder."""
    known = models or {name: model(name) for name in ("small", "large", "critic")}
    workspace = Workspace(folder)
    workspace.prepare()
    run = Run.begin(workspace, run_id, "job", {}, folder)
    dispatcher = AnsweringDispatcher(workspace.ledger_folder, known, answer)
    identities = {label: cast(OpenAIModel, one).ledger_identity() for label, one in known.items()}
    return Session(run, known, identities, cast(Dispatcher, dispatcher), Claims(workspace, run_id), **fields)


def asked(session: Session) -> list[Question]:
    """What the models of a session were asked."""
    return cast(AnsweringDispatcher, session.dispatcher).asked


def prompt(text: str, **columns: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"prompt_id": prompt_id(messages), "messages": messages, "instruction": text, **columns}


def response(prompt_row: Mapping[str, Any], number: int, content: str | None = None, **columns: Any) -> dict[str, Any]:
    return {
        "response_id": f"{number:032x}",
        "prompt_id": prompt_row["prompt_id"],
        "model": f"model {number}",
        "content": content if content is not None else f"text {number}",
        "finish_reason": "stop",
        **columns,
    }


def pairs_from(
    config: PairsConfig,
    judge: JudgeConfig | None,
    prompts: Sequence[Mapping[str, Any]],
    responses: Sequence[Mapping[str, Any]],
    ratings: Sequence[Mapping[str, Any]],
    counter: TokenCounter | None = None,
) -> ChunkResult:
    """The pairs that the stage makes of rows."""
    return make_pairs(config, prompts, candidates_by_prompt(judge, config.aggregation(), responses, ratings), counter)
