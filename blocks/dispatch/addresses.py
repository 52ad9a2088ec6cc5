"""The addresses of model servers, and the models that are asked there."""

from typing import Literal

from kasasagi.blocks.dispatch.availability import Availability
from kasasagi.blocks.dispatch.limits.adaptive_concurrency import AdaptiveConcurrency, SentCall
from kasasagi.blocks.dispatch.limits.rate_limiter import RateLimiter
from kasasagi.blocks.dispatch.limits.shared_limit import SharedLimit
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Completion, Request


class Address:
    """One address and its limit of calls in flight, which all models that are asked there share.

    At a server that lets calls wait in a queue, two samples of a call count as one call: each takes a place there, but
    of those of one call most have ended long before the last. Counted once each, they would leave half of it idle.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.concurrency = AdaptiveConcurrency()
        self.in_flight = 0
        self.is_watched = False

    @property
    def has_room(self) -> bool:
        """Whether one more call may be in flight."""
        return self.in_flight < self.concurrency.room

    @property
    def share(self) -> float:
        """The calls in flight as a share of the limit."""
        return self.in_flight / max(1, self.concurrency.limit)


class Route:
    """One model of the recipe at one address; lives in the dispatcher's loop.

    Labels that name the same model share its availability and its caps a minute at an address. Times are those of the
    loop's clock, in seconds.
    """

    def __init__(
        self,
        label: str,
        model: OpenAIModel,
        address: Address,
        endpoint: OpenAIEndpoint,
        sibling: "Route | None" = None,
    ) -> None:
        self.label = label
        self.model = model
        self.address = address
        self.endpoint = endpoint
        self.availability: Availability = sibling.availability if sibling else Availability()
        self.rate_limiter: RateLimiter | None = (
            sibling.rate_limiter if sibling and sibling.rate_limiter else _new_rate_limiter(model)
        )
        self.limit: SharedLimit | None = None
        self._access: Literal["unknown", "one", "all"] = "unknown"
        self._trying = 0

    def admit(self) -> None:
        """Let all questions go: the server knows the model."""
        self._access = "all"

    def admit_one(self) -> None:
        """Let one question go ahead of all others: the server did not say whether it knows the model."""
        if self._access == "unknown":
            self._access = "one"

    @property
    def is_reached(self) -> bool:
        """Whether the server has been reached about the model."""
        return self._access != "unknown"

    @property
    def admits_questions(self) -> bool:
        """Return whether the model allows a question to be sent here."""
        return self._access == "all" or (self._access == "one" and not self._trying)

    def is_free(self, now: float, others_work: bool) -> bool:
        """Return whether one more call may be sent now; others_work says whether another address of the
        model answers.
        """
        has_room = self.availability.admits_call(others_work) and self.address.has_room
        return has_room and self.ready_at(now) <= now and (self.limit is None or self.limit.has_room())

    def ready_at(self, now: float) -> float:
        """Return when the next question may be sent here: pauses and its caps a minute passed."""
        return max(self.availability.resume_at, self.rate_limiter.ready_at(now) if self.rate_limiter else now)

    def blames_outage(self, now: float) -> bool:
        """Return whether a failure is laid to an outage of the model here and not to the question."""
        return self.availability.is_outage and not self.is_given_up(now)

    def is_given_up(self, now: float) -> bool:
        """Return whether it has given no answer for longer than patience and a call's retries last."""
        used_up = self.availability.failures > self.model.max_retries
        return self.availability.pause_exceeds(now, self.model.patience_s) or (
            used_up and self.availability.is_down_too_long(now, self.model.patience_s)
        )

    def most_in_a_call(self, request: Request) -> int:
        """Return how many requests like that may share one call."""
        if "messages" not in request:
            return self.model.draws_per_call
        return self.model.most_samples(self.address.url, is_vllm=self.endpoint.queues)

    def on_send(self, now: float, tokens: int, samples: int = 1) -> SentCall:
        """Count a call for some samples that is sent, and the tokens that it is expected to take."""
        places = (samples + 1) // 2 if self.endpoint.queues else 1
        self.address.in_flight += places
        if self.rate_limiter is not None:
            self.rate_limiter.on_send(now, tokens)
        if self.limit is not None:
            self.limit.on_send()
        self._trying += 1
        call = self.address.concurrency.on_send(now, self.address.in_flight, tokens, places)
        self.availability.on_send(call.number)
        return call

    def on_end(self, call: SentCall, completion: Completion, now: float) -> float:
        """Count a call that has ended and learn from how it ended.

        Returns:
            The seconds of an outage that this answer ends, 0 where there was none.
        """
        self.address.in_flight -= call.places
        self._trying -= 1
        if self.limit is not None:
            self.limit.on_end()
        if self.rate_limiter is not None:
            counted = completion.prompt_tokens + completion.completion_tokens
            uncounted = call.tokens if completion.error is None else 0  # a server that counts nothing is capped too
            self.rate_limiter.on_end(now, call.tokens, counted or uncounted)
        if completion.wait_s and (completion.error == "rate_limited" or not completion.transient):
            self.availability.pause(now + completion.wait_s)
        return self._learn(call, completion, now)

    def _learn(self, call: SentCall, completion: Completion, now: float) -> float:
        concurrency = self.address.concurrency
        if not completion.transient:
            concurrency.on_answer(call, now, self.address.in_flight + call.places)
            return self.availability.on_answer(now)
        if completion.error == "rate_limited":
            self.availability.pause(now + concurrency.on_refusal(call))
        elif completion.error == "time_out":
            concurrency.on_timeout(call)
        else:
            concurrency.on_end(call)
        self.availability.on_failure(now, call, completion)
        return 0.0


def _new_rate_limiter(model: OpenAIModel) -> RateLimiter | None:
    """Return the caps a minute of a model, where it has any."""
    if model.requests_per_minute or model.tokens_per_minute:
        return RateLimiter(model.requests_per_minute, model.tokens_per_minute)
    return None
