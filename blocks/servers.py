"""The questions that wait for model servers, spread over the addresses of each model."""

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import openai

from blocks.account_faults import with_remedy
from blocks.addresses import Address
from blocks.estimates import Estimates, prompt_tokens
from blocks.groups import alike, can_share, complete_shared
from blocks.lanes import Job, Lane, Owner, backoff
from blocks.llm import Completion
from blocks.meter import Meter
from blocks.models import ModelConfig, OpenAIModel, missing_key
from blocks.openai_endpoint import OpenAIEndpoint, read_failure
from blocks.pace import Sent
from blocks.reward_endpoint import endpoint_of
from blocks.shared_limit import LimitError, SharedLimit, Slots

Place = tuple[int, int, int, Job]
QUEUE_CHECK_S = 1.0
# A server that leaves out or refuses that many shared calls gets single ones from then on.
TOLERATED_UNSHARED = 3


class Servers(Lane):
    """All questions for servers: the most urgent goes first, to the address that has most of its limit free.

    Models at one address share its limit. A model's first question goes to an address only after the server there has
    said that it knows the model and takes the key, so that a wrong key costs one request and not hundreds.
    """

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self._models: dict[str, OpenAIModel] = {}
        self._addresses: dict[str, Address] = {}
        self._queues: dict[str, list[Place]] = {}
        self._limits: dict[str, SharedLimit] = {}
        self._estimates = Estimates()
        self._silent: set[tuple[str, str]] = set()
        self._unshared: Counter[tuple[str, str]] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, label: str, model: ModelConfig) -> None:
        """Open a session at each address of a model that is new, and greet the servers."""
        if label in self._models or not isinstance(model, OpenAIModel):
            return
        self._models[label] = model
        self._queues[label] = []
        if (variable := missing_key(model)) is not None:
            self.owner.unusable(label, f"the environment variable {variable} is not set; set it to the key")
            return
        limit = self._shared_limit(label, model.prefect_limit) if model.prefect_limit else None
        for url in model.addresses:
            address = self._addresses.setdefault(url, Address(url))
            address.pace.allow(model.first_concurrency(url), model.most_concurrency(url))
            address.endpoints[label] = endpoint_of(model, url)
            if model.requests_per_minute or model.tokens_per_minute:
                address.meters[label] = self._meter(address, model)
            if limit is not None:
                address.limits[label] = limit
            self._spawn(self._greet(label, address))

    def _shared_limit(self, label: str, name: str) -> SharedLimit:
        """The limit of a name that is shared with other processes, which is served from now on."""
        if name not in self._limits:
            self._limits[name] = SharedLimit(name, _slots(), self.pump)
            self._spawn(self._serve_limit(label, self._limits[name]))
        return self._limits[name]

    async def _serve_limit(self, label: str, limit: SharedLimit) -> None:
        try:
            await limit.serve()
        except Exception as error:
            words = str(error) if isinstance(error, LimitError) else f"{type(error).__name__}: {error}"
            self.owner.unusable(label, words)

    def _meter(self, address: Address, model: OpenAIModel) -> Meter:
        """The caps of a model at an address, which all labels of that model share."""
        shared = [meter for label, meter in address.meters.items() if self._models[label].model == model.model]
        return shared[0] if shared else Meter(model.requests_per_minute, model.tokens_per_minute)

    def push(self, job: Job) -> None:
        """Queue a job and send what may be sent; nothing more is taken once the lane was cleared."""
        if self._closed:
            return
        heapq.heappush(self._queues[job.label], (self._sign * job.rank, job.order, next(self._numbers), job))
        if not _can_share(job):
            self.pump()
        else:  # what may share a call waits for what is pushed with it
            self._pump_soon()

    def pump(self) -> None:
        """Send as much as the limits allow, except to servers that asked us to wait."""
        if self.held:
            return
        now = asyncio.get_running_loop().time()
        aside: list[Place] = []
        while (found := self._next(now, aside)) is not None:
            self._begin(*found, now)
        for place in aside:
            heapq.heappush(self._queues[place[-1].label], place)
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
            for label, queue in self._queues.items():
                self._queues[label] = [(-rank, order, number, job) for rank, order, number, job in queue]
                heapq.heapify(self._queues[label])

    async def close(self) -> None:
        """Close the sessions and abandon what is in flight."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for limit in self._limits.values():
            await limit.close()
        for address in self._addresses.values():
            for endpoint in address.endpoints.values():
                await endpoint.close()

    def _next(self, now: float, aside: list[Place]) -> tuple[Job, Address] | None:
        """The most urgent job that can be sent now, and where; jobs that rather wait for another address go aside."""
        for label in sorted((label for label, queue in self._queues.items() if queue), key=self._urgency):
            free = self._free(label, now)
            while free and (queue := self._queues[label]):
                place = heapq.heappop(queue)
                job = place[-1]
                others = [address for address in free if address.url != job.failed_at]
                if others or not self._has_other(label, job.failed_at, now):
                    return job, min(others or free, key=lambda address: address.share)
                aside.append(place)
        return None

    def _urgency(self, label: str) -> tuple[int, int, int]:
        return self._queues[label][0][:3]

    def _live(self, label: str, now: float) -> list[Address]:
        """The addresses that take questions to a model: those that do not rest, or all where all do."""
        all_of_them = [self._addresses[url] for url in self._models[label].addresses]
        taking = [address for address in all_of_them if address.takes(label)]
        return [address for address in taking if not address.rests(now)] or taking

    def _free(self, label: str, now: float) -> list[Address]:
        live = self._live(label, now)
        healthy = any(not address.is_on_trial for address in live)
        free = [one for one in live if one.has_room(healthy) and one.ready_at(label, now) <= now]
        return [one for one in free if label not in one.limits or one.limits[label].has_room()]

    def _has_other(self, label: str, url: str | None, now: float) -> bool:
        """Whether a model has another address than one that is worth waiting for."""
        return any(address.url != url and now >= address.resume_at for address in self._live(label, now))

    def _begin(self, job: Job, address: Address, now: float) -> None:
        self.in_flight += 1
        others = self._companions(job, address)
        tokens = sum(map(self._tokens, [job, *others])) if job.label in address.meters else 0
        call = address.began(job.label, now, tokens)
        self._spawn(self._send_shared([job, *others], address, call) if others else self._send(job, address, call))

    def _companions(self, job: Job, address: Address) -> list[Job]:
        """The next questions that may share a call with one that is about to be sent."""
        most = self._models[job.label].draws_per_call
        if most == 1 or not _can_share(job) or self._unshared[job.label, address.url] >= TOLERATED_UNSHARED:
            return []
        queue, found = self._queues[job.label], list[Job]()
        while queue and len(found) < most - 1:
            other = queue[0][-1]
            if not (_can_share(other) and other.rank == job.rank and alike(job.request, other.request)):
                break
            found.append(heapq.heappop(queue)[-1])
        return found

    async def _send_shared(self, jobs: list[Job], address: Address, call: Sent) -> None:
        """Send some questions as one call; those that the reply lacks are asked again, each on its own."""
        endpoint = address.endpoints[jobs[0].label]
        outcome, found = await complete_shared(endpoint, [job.request for job in jobs])
        self.in_flight -= 1
        address.ended(jobs[0].label, call, outcome, asyncio.get_running_loop().time())
        if outcome.error is None and any(found):
            address.admit(jobs[0].label)
        if None in found and not outcome.transient:
            self._unshared[jobs[0].label, address.url] += 1
        for job, completion in zip(jobs, found, strict=True):
            job.attempts += 1
            if outcome.fatal or completion is not None:
                self.owner.settle(job, replace(completion or outcome, attempts=job.attempts, wait_s=None), address.url)
            elif outcome.transient:
                self._retry(job, outcome, address)
                outcome = replace(outcome, prompt_tokens=0, completion_tokens=0)  # the first has taken them all
            else:
                self.owner.tally.retried += 1
                self.push(job)
        self.pump()

    def _retry(self, job: Job, completion: Completion, address: Address) -> None:
        """Ask again after a failure that may pass, as long as our patience lasts."""
        if job.attempts <= self._models[job.label].max_retries:
            self._again(job, completion, address)
        else:
            self.owner.settle(job, replace(completion, attempts=job.attempts, wait_s=None), address.url)

    def _tokens(self, job: Job) -> int:
        """The tokens that a question and its answer are expected to take."""
        answer = self._estimates.completion_tokens(job.label, job.rank, job.request)
        return answer + prompt_tokens(job.request)

    async def _send(self, job: Job, address: Address, call: Sent) -> None:
        completion = await address.endpoints[job.label].complete(job.request)
        job.attempts += 1
        self.in_flight -= 1
        address.ended(job.label, call, completion, asyncio.get_running_loop().time())
        if completion.transient and job.attempts <= self._models[job.label].max_retries:
            self._again(job, completion, address)
        else:
            self.owner.settle(job, replace(completion, attempts=job.attempts, wait_s=None), address.url)
            if not completion.fatal:
                address.admit(job.label)
            if completion.error is None and job.label in address.meters:
                self._estimates.learn(job.label, job.rank, completion)
        self.pump()

    def _again(self, job: Job, completion: Completion, address: Address) -> None:
        """Ask again after a while, rather at another address; none but the one that failed need be waited for."""
        self.owner.tally.retried += 1
        self.owner.tried(job, completion)
        job.failed_at = address.url
        asked = completion.wait_s if len(self._models[job.label].addresses) == 1 else None
        asyncio.get_running_loop().call_later(backoff(job.attempts - 1, asked), self.owner.again, job)

    def _wake_later(self, now: float) -> None:
        """Come back when an address may be used again, if anything waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ends = [
            end
            for label in (label for label, queue in self._queues.items() if queue)
            for address in map(self._addresses.__getitem__, self._models[label].addresses)
            for end in (address.ready_at(label, now), address.rest_until)
        ]
        soonest = min((end for end in ends if end > now), default=None)
        if soonest is not None:
            self._timer = asyncio.get_running_loop().call_at(soonest, self.pump)
        self.owner.tally.next_at = None if self.in_flight else soonest
        self.owner.tally.short_of = None if self.in_flight else self._short_of()

    def _short_of(self) -> str | None:
        """A shared limit of which no slot is held though a question waits for one."""
        waiting = (label for label, queue in self._queues.items() if queue)
        limits = (limit for label in waiting for limit in self._limits_of(label))
        return next((limit.name for limit in limits if not limit.held), None)

    def _limits_of(self, label: str) -> list[SharedLimit]:
        name = self._models[label].prefect_limit
        return [self._limits[name]] if name in self._limits else []

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _greet(self, label: str, address: Address) -> None:
        """Let a model's questions go to a server that knows it; where it does not say so, one of them goes ahead."""
        known = await self._ask_for_models(label, address)
        if known is None:
            return
        if self._models[label].model in known:
            address.admit(label)
        else:
            address.admit_one(label)
        if address.endpoints[label].queues and not address.is_watched:
            address.is_watched = True
            self._spawn(self._watch_queue(address, address.endpoints[label]))
        self.pump()

    async def _watch_queue(self, address: Address, endpoint: OpenAIEndpoint) -> None:
        """Keep the calls that wait at a server that queues to a few; one that has said how many is asked on."""
        says = False
        while (waiting := await endpoint.waiting()) is not None or says:
            if waiting is not None:
                says = True
                address.pace.queue_seen(waiting, address.in_flight)
                self.pump()
            await asyncio.sleep(QUEUE_CHECK_S)

    async def _ask_for_models(self, label: str, address: Address) -> Sequence[str] | None:
        """The models that a server names, none if it does not say; None if it cannot be used at all."""
        endpoint = address.endpoints[label]
        for attempt in itertools.count():
            try:
                return await endpoint.models() or ()
            except openai.APIStatusError as error:
                failure = read_failure(error)
                if failure.fatal:
                    words = with_remedy(failure.error, endpoint.without_key(failure.detail))
                    self.owner.unusable(label, f"the server answers {words}", address.url)
                    return None
                if not failure.transient:
                    return ()
            except (ValueError, TypeError) as error:
                why = f"no request can be made ({type(error).__name__}); check the key"
                self.owner.unusable(label, why, address.url)
                return None
            except Exception:
                pass  # nobody there yet: a server that is starting gets the same patience as a call
            await asyncio.sleep(backoff(attempt, None))
            if attempt >= self._models[label].max_retries and self._nobody_answers(label, address):
                self.owner.unusable(label, "nobody answers there; start the server or correct base_url")
                return None
        return None

    def _nobody_answers(self, label: str, address: Address) -> bool:
        """Whether all addresses of a model have been silent for as long as our patience lasts."""
        self._silent.add((label, address.url))
        urls = self._models[label].addresses
        return all((label, url) in self._silent and not self._addresses[url].knows(label) for url in urls)


def _slots() -> Slots:
    from blocks.prefect_slots import PrefectSlots

    return PrefectSlots()


def _can_share(job: Job) -> bool:
    return job.attempts == 0 and can_share(job.request)
