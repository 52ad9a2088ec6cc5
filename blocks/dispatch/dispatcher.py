"""The dispatcher: one thread with an event loop of its own that sends every model call of this process.

Chunks hand it their pending questions and wait. It owns the sessions, the limit of each endpoint, the order in which
questions are sent, retries, and the writer of the ledger: an answer is in the ledger before it is handed on.
"""

import asyncio
import heapq
import itertools
import shutil
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kasasagi.blocks.dispatch.budget import BudgetSpentError, BudgetTracker, Cost
from kasasagi.blocks.dispatch.event_loop import new_event_loop
from kasasagi.blocks.dispatch.lanes import EngineLane, Job, Lane
from kasasagi.blocks.dispatch.pending_requests import Counters, PendingRequest, Question
from kasasagi.blocks.endpoints.account_errors import with_remedy
from kasasagi.blocks.engines.streaming import StreamingEngine, StreamingLane
from kasasagi.blocks.ledger.store import LedgerError
from kasasagi.blocks.ledger.writer import LedgerWriter, Writer
from kasasagi.blocks.models.kinds import Budget, ModelConfig, OpenAIModel, price_of
from kasasagi.blocks.models.llm import Completion, Engine

RESERVED_BYTES = 64 * 2**20
DISK_CHECK_SECONDS = 1.0
DRAIN_SECONDS = 60.0
SERVERS = "servers"


class ModelUnusableError(Exception):
    """Every call to a model is pointless: a wrong key, an unknown model, no server at the address."""


class StoppedError(Exception):
    """The run was stopped before this question was sent."""


class DispatcherError(Exception):
    """A part of the dispatcher itself failed, so that calls would wait for ever."""


class Dispatcher:
    """Sends questions to models and keeps each answer in the ledger before handing it over.

    models maps the recipe's labels to their configuration; engines holds the models of this process by label.
    Questions of a higher rank go first; of the same rank, those of the earlier chunk. log takes, in the dispatcher's
    thread, a line for a person. refused_by is the first refusal of the budget, if there was one; refused_ranks are the
    ranks that had one. on_first_question is called in the dispatcher's thread once the first questions are handed to
    their models.
    """

    def __init__(
        self,
        models: Mapping[str, ModelConfig],
        engines: Mapping[str, Engine],
        ledger_folder: Path,
        budget: Budget = Budget(),  # noqa: B008 - it is frozen
    ) -> None:
        self.models = models
        self.counters = Counters()
        self.log: Callable[[str], None] = lambda line: None
        self.on_first_question: Callable[[], None] = lambda: None
        self.refused_by: BudgetSpentError | None = None
        self.refused_ranks: set[int] = set()
        self._folder = ledger_folder
        self._engines = engines
        self._lanes: dict[str, Lane] = {}
        self._budgets = BudgetTracker(budget, models)
        self._numbers = itertools.count()
        self._waiting_for_budget: list[tuple[int, int, int, Job]] = []
        self._waiters: dict[str, list[tuple[PendingRequest, int]]] = {}
        self._pending_requests: set[PendingRequest] = set()
        self._stopped: BaseException | None = None
        self._held = False
        self._closed = False
        self._closing = threading.Lock()
        self._writer = self._new_writer()
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="dispatcher", daemon=True)
        self._thread.start()

    def _new_writer(self) -> Writer:
        return LedgerWriter(self._folder, self._on_written, self.report_unwritable)

    def ask(self, questions: Sequence[Question], rank: int = 0, order: int = 0) -> list[Completion]:
        """Return the answers to some questions, in their order; blocks the calling thread until all are there.

        An answer that will not come is a Completion with its reason. Raises ModelUnusableError, LedgerError, or the
        error that the dispatcher was stopped with.
        """
        if not questions:
            return []
        pending = PendingRequest(len(questions))
        if not self._in_loop(self._accept, pending, list(questions), rank, order):
            raise self._stopped or StoppedError("the run was stopped")
        return pending.future.result()

    def _in_loop(self, work: Callable[..., None], *arguments: Any) -> bool:
        """Have something done in the loop; False if it has ended, so that no caller waits for what never comes."""
        with self._closing:
            if not self._closed:
                self._loop.call_soon_threadsafe(work, *arguments)
            return not self._closed

    def engine(self, label: str) -> Engine:
        """Return the engine of a model in this process."""
        return self._engines[label]

    def stop(self, error: BaseException) -> None:
        """Send nothing more and fail what waits with an error; what is in flight is still kept when it arrives."""
        self._in_loop(self._stop, error)

    @property
    def stopped_by(self) -> BaseException | None:
        """The error that the dispatcher was stopped with, if it was."""
        return self._stopped

    def raise_if_stopped(self) -> None:
        """Raise the error that the dispatcher was stopped with, if it was."""
        if self._stopped is not None:
            raise self._stopped

    def pending(self, keys: Collection[str]) -> set[str]:
        """Return those keys whose calls are not over yet; of a chunk that failed some may still be on their way."""
        found: Future[set[str]] = Future()
        if not self._in_loop(lambda: found.set_result({key for key in keys if key in self._waiters})):
            return set(keys)
        return found.result()

    def finish_first(self) -> None:
        """From now on earlier stages go first, so that a run that takes in no more chunks ends with all slots busy."""
        self._in_loop(self._finish_first)

    def hold(self) -> None:
        """Send nothing more until `release`; what is in flight is kept when it arrives."""
        self._in_loop(self._hold, True)

    def release(self) -> None:
        """Go on sending."""
        self._in_loop(self._hold, False)

    @property
    def has_budget(self) -> bool:
        """Whether anything limits what may be spent."""
        return self._budgets.limits_anything

    def reserve_for(self, plans: Mapping[int, Cost]) -> None:
        """Tell what the stages of some ranks will take, so that later ones keep their share of the budget."""
        self._in_loop(self._budgets.reserve_for, plans)

    def in_flight(self) -> int:
        """Return how many calls are being answered now."""
        return sum(lane.in_flight for lane in list(self._lanes.values()))

    def close(self, drain_s: float = 0.0) -> None:
        """Wait up to drain_s seconds for calls in flight, keep what came, and end the thread."""
        if self._thread.is_alive():
            future = asyncio.run_coroutine_threadsafe(self._close(drain_s), self._loop)
            future.result()
        self._writer.close()
        with self._closing:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @contextmanager
    def ended_cleanly(self) -> Iterator[None]:
        """Close it at the end; where that is an interruption, what is paid for already is waited for."""
        try:
            yield
        except BaseException as error:
            self.stop(error if isinstance(error, Exception) else StoppedError("the run was interrupted"))
            if flying := self.in_flight():
                self.log(f"waiting for {flying} calls in flight, which are paid for; interrupt again to abandon them")
            self.close(DRAIN_SECONDS)
            raise
        self.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(self._on_unhandled)
        self._loop.call_soon(self._watch_disk)
        self._loop.run_forever()
        self._loop.close()

    def _on_unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Stop where a callback of ours raised; what the HTTP client's callbacks raise is reported by its calls."""
        error = context.get("exception")
        if isinstance(error, Exception) and _is_ours(error):
            self.report_failure(error)
        else:
            loop.default_exception_handler(context)

    def _accept(self, pending: PendingRequest, questions: list[Question], rank: int, order: int) -> None:
        if self._stopped:
            pending.fail(self._stopped)
            return
        self._pending_requests.add(pending)
        pending.future.add_done_callback(lambda _: self._pending_requests.discard(pending))
        try:
            self._queue(pending, questions, rank, order)
        except Exception as error:
            pending.fail(error)

    def _queue(self, pending: PendingRequest, questions: list[Question], rank: int, order: int) -> None:
        is_first = not self.counters.asked
        for index, question in enumerate(questions):
            waiters = self._waiters.setdefault(question.key, [])
            waiters.append((pending, index))
            if len(waiters) == 1:
                self.counters.asked += 1
                job = Job(question.label, question.key, question.request, rank, order, prefix=question.prefix)
                self._reserve(job)
        if is_first:
            self.on_first_question()

    def _reserve(self, job: Job) -> None:
        """Hand a job to its lane if the budget reaches; else let it wait for calls on their way, or refuse it."""
        try:
            affordable = not self._budgets.limits_anything or self._budgets.reserve(job)
        except BudgetSpentError as error:
            self._refuse(job, error)
            return
        if affordable:
            self._lane(job.label).push(job)
        else:
            heapq.heappush(self._waiting_for_budget, (-job.rank, job.order, next(self._numbers), job))

    def _refuse(self, job: Job, error: BudgetSpentError) -> None:
        """Turn a job away that the budget does not reach for.

        The rest of a stage's chunk continues, so that what is paid for leads to pairs; what is asked for no stage ends.
        """
        self.refused_by = self.refused_by or error
        self.refused_ranks.add(job.rank)
        if job.rank > 0:
            self._hand_over(job.key, Completion(error="budget_spent", detail=str(error), transient=True))
        else:
            for pending, _ in self._waiters.pop(job.key, ()):
                pending.fail(error)

    def _settle_cost(self, key: str, completion: Completion | None) -> None:
        """Settle what was reserved for a call, and hand on jobs that waited for that."""
        self._budgets.settle(key, completion)
        for _ in range(len(self._waiting_for_budget)):
            waiting = len(self._waiting_for_budget)
            self._reserve(heapq.heappop(self._waiting_for_budget)[-1])
            if len(self._waiting_for_budget) == waiting:
                return

    def _lane(self, label: str) -> Lane:
        model = self.models[label]
        name = self._lane_name(label, model)
        lane = self._lanes.get(name) or self._lanes.setdefault(name, self._new_lane(label, model))
        lane.held = self._held
        lane.admit(label, model)
        return lane

    def _lane_name(self, label: str, model: ModelConfig) -> str:
        if not isinstance(model, OpenAIModel):
            return f"engine {id(self._engines[label])}"  # equal weights may run in engines of different settings
        return f"batches of {label}" if model.batch else SERVERS

    def _new_lane(self, label: str, model: ModelConfig) -> Lane:
        if not isinstance(model, OpenAIModel):
            engine = self._engines[label]
            return StreamingLane(self, engine) if isinstance(engine, StreamingEngine) else EngineLane(self, engine)
        if model.batch:
            from kasasagi.blocks.dispatch.batch.lane import BatchLane

            return BatchLane(self, self._folder, label, model)
        from kasasagi.blocks.dispatch.server_lane import ServerLane  # a run without calls does not need its imports

        return ServerLane(self)

    def settle(self, job: Job, completion: Completion, address: str | None = None) -> None:
        """Accept the final result of a job: into the ledger first, unless it is a transient failure."""
        if completion.fatal:
            self.report_unusable(job.label, with_remedy(completion.error, completion.detail), address)
            return
        self._settle_cost(job.key, completion)
        if completion.transient:
            self.counters.failed += 1
            self._count_tokens(job, completion)
            self._hand_over(job.key, completion)
        else:
            self._count(job, completion)
            self._writer.put(job.key, self.identity(job.label), completion)

    def record_attempt(self, job: Job, completion: Completion) -> None:
        """Account for an attempt that is not the last: tokens of an aborted generation are spent all the same."""
        if completion.prompt_tokens or completion.completion_tokens:
            self._settle_cost(job.key, completion)
            self._count_tokens(job, completion)

    def retry(self, *jobs: Job) -> None:
        """Send jobs again; if earlier attempts leave too little of the budget for one, it fails."""
        for job in jobs:
            self._reserve(job)

    def accept_stored(self, job: Job, completion: Completion) -> None:
        """Accept an answer that is already in the ledger."""
        self._settle_cost(job.key, completion)
        self._count(job, completion)
        self._hand_over(job.key, completion)

    def identity(self, label: str) -> str:
        """Return what the ledger knows a model by."""
        model = self.models[label]
        return model.ledger_identity() if isinstance(model, OpenAIModel) else self._engines[label].identity()

    def report_unusable(self, label: str, why: str, address: str | None = None) -> None:
        """End the run: no call to this model can succeed, at one address or at any."""
        model = self.models[label]
        where = f" at {address or ', '.join(model.addresses)}" if isinstance(model, OpenAIModel) else ""
        name = getattr(model, "model", model.kind)
        self._stop(ModelUnusableError(f"model {label!r} ({name}{where}) cannot be used: {why}"))

    def report_failure(self, error: BaseException) -> None:
        """End the run, since a part of the dispatcher itself failed."""
        failed = DispatcherError(
            f"the dispatcher failed ({type(error).__name__}: {error}); paid calls are kept: run again to continue, "
            "and report this error"
        )
        failed.__cause__ = error
        self._stop(failed)

    def _count(self, job: Job, completion: Completion) -> None:
        self.counters.answered += 1
        self._count_tokens(job, completion)

    def _count_tokens(self, job: Job, completion: Completion) -> None:
        self.counters.prompt_tokens += completion.prompt_tokens
        self.counters.completion_tokens += completion.completion_tokens
        price = price_of(self.models[job.label])
        self.counters.cost_usd += price.cost(completion.prompt_tokens, completion.completion_tokens)

    def _on_written(self, answers: list[tuple[str, Completion]]) -> None:
        def hand_over() -> None:
            for key, completion in answers:
                self._hand_over(key, completion)

        self._loop.call_soon_threadsafe(hand_over)

    def _hand_over(self, key: str, completion: Completion) -> None:
        for pending, index in self._waiters.pop(key, ()):
            pending.answer(index, completion)

    def report_unwritable(self, error: LedgerError) -> None:
        """End the run from any thread: the ledger cannot be written."""
        self._loop.call_soon_threadsafe(self._stop, error)

    def _stop(self, error: BaseException) -> None:
        self._stopped = self._stopped or error
        self._waiting_for_budget.clear()
        for lane in self._lanes.values():
            lane.clear()
        for pending in list(self._pending_requests):
            pending.fail(self._stopped)

    def _hold(self, held: bool) -> None:
        self._held = held
        for lane in self._lanes.values():
            lane.held = held
            if not held:
                lane.release()

    def _finish_first(self) -> None:
        for lane in self._lanes.values():
            lane.reverse()

    def _watch_disk(self) -> None:
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            why = (
                f"the ledger's folder {self._folder} cannot be read ({error.strerror}): make it readable and run again"
            )
            self._stop(LedgerError(why))
            return
        if free < RESERVED_BYTES and not self._stopped:
            why = (
                f"only {free / 2**20:.0f} MB are free at {self._folder}, too little to keep what is paid for: "
                f"nothing more is sent; make room ({RESERVED_BYTES // 2**20} MB at least) and run again"
            )
            self._stop(LedgerError(why))
        self._loop.call_later(DISK_CHECK_SECONDS, self._watch_disk)

    async def _close(self, drain_s: float) -> None:
        self._stop(StoppedError("the run was stopped"))
        end = self._loop.time() + drain_s
        while self.in_flight() and self._loop.time() < end:
            await asyncio.sleep(0.05)
        for lane in self._lanes.values():
            await lane.close()
        for task in [task for task in asyncio.all_tasks(self._loop) if task is not asyncio.current_task()]:
            task.cancel()


def _is_ours(error: BaseException) -> bool:
    """Return whether an exception was raised in, or through, code of this package."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(str(frame.f_globals.get("__name__", "")).startswith("kasasagi.blocks.") for frame, _ in frames)
