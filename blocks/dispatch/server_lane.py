"""The questions that wait for model servers, spread over the addresses of each model."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from kasasagi.blocks.dispatch.addresses import Address, Route
from kasasagi.blocks.dispatch.availability import trouble_of, words_of
from kasasagi.blocks.dispatch.estimates import Estimates, prompt_tokens
from kasasagi.blocks.dispatch.job_queue import JobQueue, QueueEntry
from kasasagi.blocks.dispatch.lanes import DispatcherCallbacks, Job, Lane, backoff
from kasasagi.blocks.dispatch.limits.adaptive_concurrency import SentCall
from kasasagi.blocks.dispatch.limits.shared_limit import LimitError, SharedLimit, Slots
from kasasagi.blocks.dispatch.readiness import check_readiness
from kasasagi.blocks.dispatch.shared_calls import SharedCalls, SharedReply, complete_shared
from kasasagi.blocks.endpoints.reward import endpoint_of
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel, missing_key
from kasasagi.blocks.models.llm import Completion

QUEUE_CHECK_S = 1.0
WORTH_LOGGING_S = 2.0
ABANDONED = Completion(error="stopped", detail="the call was abandoned", transient=True)


class ServerCallbacks(DispatcherCallbacks, Protocol):
    """The methods of the dispatcher that this lane calls beside those of every lane; log takes a line for a person."""

    log: Callable[[str], None]


class ServerLane(Lane):
    """All questions for servers: the most urgent goes first, to the address that has most of its limit free.

    Questions whose requests begin alike rather go to one address.
    Models at one address share its limit. A model's first question goes to an address only after the server there has
    confirmed that it has the model and takes the key, so that a wrong key costs one request, not hundreds. A model that
    gives no answer at any address is tried by single calls as long as its patience lasts, then its questions fail.
    """

    def __init__(self, callbacks: ServerCallbacks) -> None:
        super().__init__(callbacks)
        self._log: Callable[[str], None] = lambda line: callbacks.log(line)  # noqa: PLW0108 - log is set later
        self._models: dict[str, OpenAIModel] = {}
        self._addresses: dict[str, Address] = {}
        self._routes: dict[str, list[Route]] = {}
        self._queues: dict[str, JobQueue] = {}
        self._limits: dict[str, SharedLimit] = {}
        self._estimates = Estimates()
        self._noted: set[tuple[str, str]] = set()
        self._silent: set[tuple[str, str]] = set()
        self._shared_calls = SharedCalls(self._estimates)
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, label: str, model: ModelConfig) -> None:
        """Open a session at each address of a model that is new, and check that the servers are ready."""
        if label in self._models or not isinstance(model, OpenAIModel):
            return
        self._models[label] = model
        self._queues[label] = JobQueue(model.addresses)
        self._routes[label] = []
        if (variable := missing_key(model)) is not None:
            self.callbacks.report_unusable(label, f"the environment variable {variable} is not set; set it to the key")
            return
        limit = self._shared_limit(label, model.prefect_limit) if model.prefect_limit else None
        for url in model.addresses:
            route = self._route(label, model, url)
            route.limit = limit
            self._routes[label].append(route)
            self._spawn(self._check_readiness(route))

    def _route(self, label: str, model: OpenAIModel, url: str) -> Route:
        """Return the way to a model at an address."""
        address = self._addresses.setdefault(url, Address(url))
        address.concurrency.allow(model.first_concurrency(url), model.most_concurrency(url))
        others = (route for routes in self._routes.values() for route in routes)
        sibling = next((one for one in others if one.address is address and one.model.model == model.model), None)
        return Route(label, model, address, endpoint_of(model, url), sibling)

    def _shared_limit(self, label: str, name: str) -> SharedLimit:
        """Return the limit of a name that is shared with other processes, which is served from now on."""
        if name not in self._limits:
            self._limits[name] = SharedLimit(name, _slots(), self.pump)
            self._spawn(self._serve_limit(label, self._limits[name]))
        return self._limits[name]

    async def _serve_limit(self, label: str, limit: SharedLimit) -> None:
        try:
            await limit.serve()
        except Exception as error:
            words = str(error) if isinstance(error, LimitError) else f"{type(error).__name__}: {error}"
            self.callbacks.report_unusable(label, words)

    def push(self, job: Job) -> None:
        """Queue a job and send what may be sent; nothing more is taken once the lane was cleared."""
        if self._closed:
            return
        if (route := self._given_up(job.label)) is not None:
            self._settle(job, route.availability.last or ABANDONED, route)
            return
        self._queues[job.label].push((self._sign * job.rank, job.order, next(self._numbers), job))
        if job.may_share or job.prefix:  # what may share a call or a prefix waits for what is pushed with it
            self._pump_soon()
        else:
            self.pump()

    def pump(self) -> None:
        """Send as much as the limits allow, except to servers that asked us to wait."""
        if self.held:
            return
        now = asyncio.get_running_loop().time()
        deferred: list[QueueEntry] = []
        while (found := self._next(now, deferred)) is not None:
            self._begin(*found, now)
        for entry in deferred:
            self._queues[entry[-1].label].push(entry)
        self._wake_later(now)

    def clear(self) -> None:
        """Forget what waits, and send nothing more."""
        self._closed = True
        for queue in self._queues.values():
            queue.clear()

    def reverse(self) -> None:
        """Let lower ranks go first from now on."""
        if self._sign < 0:
            self._sign = 1
            for queue in self._queues.values():
                queue.reverse()

    async def close(self) -> None:
        """Close the sessions and abandon what is in flight."""
        await super().close()
        for limit in self._limits.values():
            await limit.close()
        for routes in self._routes.values():
            for route in routes:
                await route.endpoint.close()

    def _next(self, now: float, deferred: list[QueueEntry]) -> tuple[Job, Route] | None:
        """Return the most urgent job that can be sent now, and where; jobs that wait for another address
        are deferred.
        """
        if not any(address.has_room for address in self._addresses.values()):
            return None
        for label in sorted((label for label, queue in self._queues.items() if queue), key=self._urgency):
            free, queue = self._free(label, now), self._queues[label]
            live = [one.address.url for one in self._live(label, now)]
            full = set(live) - {one.address.url for one in free}
            while free and queue:
                entry = queue.pop(full)
                job, home = entry[-1], queue.home(entry[-1], live)
                others = [route for route in free if route.address.url != job.failed_at]
                if others or not self._has_other(label, job.failed_at, now):
                    return job, min(others or free, key=lambda one: (one.address.url != home, one.address.share))
                deferred.append(entry)
        return None

    def _urgency(self, label: str) -> tuple[int, int, int]:
        return self._queues[label].first()[:3]

    def _live(self, label: str, now: float) -> list[Route]:
        """Return the addresses that take questions to a model; one that rests, only where all do without an outage."""
        taking = [route for route in self._routes[label] if route.admits_questions]
        awake = [route for route in taking if not route.availability.is_resting(now)]
        return awake or [route for route in taking if not route.availability.is_outage]

    def _free(self, label: str, now: float) -> list[Route]:
        """Return those of them that take a question now."""
        live = self._live(label, now)
        healthy = any(not route.availability.is_on_trial for route in live)
        return [route for route in live if route.is_free(now, healthy)]

    def _has_other(self, label: str, url: str | None, now: float) -> bool:
        """Return whether a model has another address than one that is worth waiting for."""
        others = [route for route in self._routes[label] if route.address.url != url and route.admits_questions]
        return any(one.availability.resume_at <= now and not one.availability.is_resting(now) for one in others)

    def _begin(self, job: Job, route: Route, now: float) -> None:
        self.in_flight += 1
        others = self._companions(job, route)
        tokens = self._tokens([job, *others]) if route.rate_limiter else 0
        call = route.on_send(now, tokens, 1 + len(others))
        self._spawn(self._send_shared([job, *others], route, call) if others else self._send(job, route, call))

    def _companions(self, job: Job, route: Route) -> list[Job]:
        """Return the next questions that may share a call with one that is about to be sent."""
        return self._queues[job.label].take_like(job, self._shared_calls.most(job, route) - 1)

    def _on_end(self, route: Route, call: SentCall, completion: Completion) -> None:
        """Count a call that has ended, and say that an outage is over."""
        self.in_flight -= 1
        seconds = route.on_end(call, completion, asyncio.get_running_loop().time())
        if seconds:
            self._log(f"{_describe(route)} answers again after {seconds:.0f} s")
        for note in route.endpoint.adaptation.notes():
            self._log_once(route, note)

    def _log_once(self, route: Route, note: str) -> None:
        if (route.label, note) not in self._noted:
            self._noted.add((route.label, note))
            self._log(f"{_describe(route)} {note}")

    async def _send_shared(self, jobs: list[Job], route: Route, call: SentCall) -> None:
        """Send some questions as one call; those that the reply lacks are asked again, each on its own."""
        reply = SharedReply(ABANDONED, ())
        try:
            reply = await complete_shared(route.endpoint, [job.request for job in jobs])
        finally:
            self._on_end(route, call, reply.outcome)
            self._queues[jobs[0].label].on_end(jobs[0])
        for note in self._shared_calls.learn(jobs[0].request, route, reply):
            self._log_once(route, note)
        for job in jobs:
            job.attempts += 1
        if reply.outcome.transient:
            self._on_failure(jobs, reply.outcome, route)
        else:
            self._settle_shared(jobs, reply, route)
        self.pump()

    def _settle_shared(self, jobs: list[Job], reply: SharedReply, route: Route) -> None:
        """Accept what a shared call brought, and ask again for what its reply lacks."""
        if reply.outcome.error is None and any(reply.samples):
            route.admit()
        for job, completion in zip(jobs, reply.samples, strict=True):
            if reply.outcome.fatal or completion is not None:
                self._settle(job, completion or reply.outcome, route)
                self._learn(job, completion or reply.outcome, route)
            else:
                self.callbacks.counters.retried += 1
                job.shares_again = False
                self.push(job)

    async def _send(self, job: Job, route: Route, call: SentCall) -> None:
        completion = ABANDONED
        try:
            completion = await route.endpoint.complete(job.request)
        finally:
            self._on_end(route, call, completion)
            self._queues[job.label].on_end(job)
        job.attempts += 1
        if completion.transient:
            self._on_failure([job], completion, route)
        else:
            self._settle(job, completion, route)
            if not completion.fatal:
                route.admit()
            self._learn(job, completion, route)
        self.pump()

    def _learn(self, job: Job, completion: Completion, route: Route) -> None:
        if completion.error is None and route.rate_limiter:
            self._estimates.learn(job.label, job.rank, completion)

    def _settle(self, job: Job, completion: Completion, route: Route) -> None:
        if completion.attempts != job.attempts or completion.wait_s is not None:
            completion = replace(completion, attempts=job.attempts, wait_s=None)
        self.callbacks.settle(job, completion, route.address.url)

    def _tokens(self, jobs: list[Job]) -> int:
        """Return the tokens that questions of one call and their answers are expected to take."""
        answers = sum(self._estimates.completion_tokens(job.label, job.rank, job.request) for job in jobs)
        prompts = jobs[:1] if "messages" in jobs[0].request else jobs
        return answers + sum(prompt_tokens(job.request) for job in prompts)

    def _on_failure(self, jobs: list[Job], completion: Completion, route: Route) -> None:
        """Ask again after a failure that may pass, as long as patience lasts."""
        now, again = asyncio.get_running_loop().time(), list[Job]()
        for job in jobs:
            if self._may_try_again(job, completion, route, now):
                again.append(job)
            completion = replace(completion, prompt_tokens=0, completion_tokens=0)  # the first has taken them all
        for group in [again] if completion.unavailable and again else [[job] for job in again]:
            self._retry_later(group, completion, route)

    def _may_try_again(self, job: Job, completion: Completion, route: Route, now: float) -> bool:
        """Return whether a question that failed is asked again; else it is settled.

        While the model gives no answer at all, a failure is the outage's and not the question's.
        """
        most = self._models[job.label].max_retries
        job.blame(route.availability.row, route.blames_outage(now))
        if not job.is_suspect:
            route.availability.add_question(job.key)
        self._log_outage(route, now)
        if all(one.is_given_up(now) for one in self._routes[job.label]):
            self._give_up(job, completion, route, now)
        elif job.failures > most:
            self._settle(job, completion, route)
        else:
            self.callbacks.counters.retried += 1
            self.callbacks.record_attempt(job, completion)
            return True
        return False

    def _log_outage(self, route: Route, now: float) -> None:
        """Log once that a model has given no answer for a while."""
        availability = route.availability
        if availability.is_logged or availability.seconds_down(now) < WORTH_LOGGING_S or not availability.is_outage:
            return
        availability.is_logged = True
        left = max(0.0, route.model.patience_s - availability.seconds_down(now))
        why = f"{trouble_of(availability.last)} ({words_of(availability.last)})"
        again = f"; its calls wait and are sent again for up to {left:.0f} s" if left >= 1 else ""
        self._log(f"{_describe(route)} {why}{again}")

    def _give_up(self, job: Job, completion: Completion, route: Route, now: float) -> None:
        """Fail a question and all that wait for the same model, since patience with it is over."""
        waiting = [entry[-1] for entry in self._queues[job.label]]
        self._queues[job.label].clear()
        if not route.availability.given_up:
            route.availability.given_up = True
            seconds = f"{route.availability.seconds_down(now):.0f} s"
            count = f"{len(waiting) + 1:,} call{'s are' if waiting else ' is'}"
            self._log(
                f"{_describe(route)} {trouble_of(completion)}, for {seconds} so far ({words_of(completion)}): "
                f"{count} given up and sent by the next run; raise patience_s to wait longer"
            )
        self._settle(job, completion, route)
        for one in waiting:
            self._settle(one, replace(completion, prompt_tokens=0, completion_tokens=0), route)

    def _given_up(self, label: str) -> Route | None:
        """Return a route of a model that is given up at all its addresses, unless a single call may try it now."""
        now = asyncio.get_running_loop().time()
        routes = self._routes[label]
        over = all(route.is_given_up(now) for route in routes) and any(one.availability.given_up for one in routes)
        return routes[0] if routes and over and not self._free(label, now) else None

    def _retry_later(self, jobs: list[Job], completion: Completion, route: Route) -> None:
        """Ask again after a while, rather at another address; only the one that failed has to be waited for.

        What shared a call that the server did not take shares one again, so that its prompt is not paid several times.
        """
        for job in jobs:
            job.failed_at = route.address.url
            job.shares_again = completion.unavailable
        asked = completion.wait_s if len(self._routes[route.label]) == 1 else None
        wait = backoff(jobs[0].attempts - 1, asked)
        asyncio.get_running_loop().call_later(wait, self.callbacks.retry, *jobs)

    def _wake_later(self, now: float) -> None:
        """Come back when an address may be used again, if anything waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting = [self._routes[label] for label, queue in self._queues.items() if queue]
        ends = [end for routes in waiting for one in routes for end in (one.ready_at(now), one.availability.rest_until)]
        soonest = min((end for end in ends if end > now), default=None)
        if soonest is not None:
            self._timer = asyncio.get_running_loop().call_at(soonest, self.pump)
        self.callbacks.counters.next_at = None if self.in_flight else soonest
        self.callbacks.counters.short_of = None if self.in_flight else self._short_of()

    def _short_of(self) -> str | None:
        """Return a shared limit of which no slot is held though a question waits for one."""
        waiting = (label for label, queue in self._queues.items() if queue)
        limits = (limit for label in waiting for limit in self._limits_of(label))
        return next((limit.name for limit in limits if not limit.slots_held), None)

    def _limits_of(self, label: str) -> list[SharedLimit]:
        name = self._models[label].prefect_limit
        return [self._limits[name]] if name in self._limits else []

    async def _check_readiness(self, route: Route) -> None:
        """Let a model's questions go to a server that knows it; where it does not say so, one of them goes ahead."""
        found = await check_readiness(route, lambda: self._all_silent(route), self._log)
        if found.state != "ready":
            self.callbacks.report_unusable(
                route.label, found.words, None if found.state == "silent" else route.address.url
            )
            return
        if route.model.model in found.models:
            route.admit()
        else:
            route.admit_one()
        if route.endpoint.queues and not route.address.is_watched:
            route.address.is_watched = True
            self._spawn(self._watch_queue(route))
        self.pump()

    async def _watch_queue(self, route: Route) -> None:
        """Keep the calls that wait at a server that queues to a few; keep polling one that has reported them."""
        says = False
        while (waiting := await route.endpoint.queue_length()) is not None or says:
            if waiting is not None:
                says = True
                route.address.concurrency.on_queue_length(waiting, route.address.in_flight)
                self.pump()
            await asyncio.sleep(QUEUE_CHECK_S)

    def _all_silent(self, route: Route) -> bool:
        """Return whether no address of a model has answered though all their attempts are used up."""
        self._silent.add((route.label, route.address.url))
        return all(
            (one.label, one.address.url) in self._silent and not one.is_reached for one in self._routes[route.label]
        )


def _describe(route: Route) -> str:
    return f"model {route.label!r} at {route.address.url}"


def _slots() -> Slots:
    from kasasagi.blocks.dispatch.prefect_slots import PrefectSlots

    return PrefectSlots()
