"""One address of a model server: what is in flight there, what it may take, and when it is to be left alone."""

from blocks.llm import Completion
from blocks.meter import Meter
from blocks.openai_endpoint import OpenAIEndpoint
from blocks.pace import Pace, Sent
from blocks.shared_limit import SharedLimit

TOLERATED_FAILURES = 3
FIRST_REST_S = 1.0
LONGEST_REST_S = 60.0


class Address:
    """An address and its limit, which all models that are asked there share; lives in the dispatcher's loop.

    An address that fails several times in a row rests, each time longer, while other addresses of the model do its
    work; after a rest a single call tries it. Times are those of the loop's clock, in seconds.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.pace = Pace()
        self.in_flight = 0
        self.endpoints: dict[str, OpenAIEndpoint] = {}
        self.meters: dict[str, Meter] = {}
        self.limits: dict[str, SharedLimit] = {}
        self.is_watched = False
        self.resume_at = 0.0
        self.rest_until = 0.0
        self._open: set[str] = set()
        self._trying: dict[str, int] = {}
        self._failures = 0
        self._rests = 0
        self._rested_at = 0.0

    def admit(self, label: str) -> None:
        """Let all questions to a model go: the server knows it."""
        self._trying.pop(label, None)
        self._open.add(label)

    def admit_one(self, label: str) -> None:
        """Let one question to a model go ahead of all others: the server did not say whether it knows the model."""
        if label not in self._open:
            self._trying.setdefault(label, 0)

    def takes(self, label: str) -> bool:
        """Whether a question to a model may be sent here, as far as the model is concerned."""
        return label in self._open or self._trying.get(label) == 0

    def ready_at(self, label: str, now: float) -> float:
        """When the next question to a model may be sent here: pauses and its caps a minute passed."""
        meter = self.meters.get(label)
        return max(self.resume_at, meter.ready_at(now) if meter else now)

    def knows(self, label: str) -> bool:
        """Whether the server has been reached about a model."""
        return label in self._open or label in self._trying

    @property
    def is_on_trial(self) -> bool:
        """Whether it has rested and not answered since."""
        return self._rests > 0

    def has_room(self, others_work: bool) -> bool:
        """Whether one more call may be in flight; while others work, one that is on trial gets a single call."""
        limit = 1 if self.is_on_trial and others_work else self.pace.room
        return self.in_flight < limit

    @property
    def share(self) -> float:
        """The calls in flight as a share of the limit."""
        return self.in_flight / max(1, self.pace.limit)

    def rests(self, now: float) -> bool:
        """Whether it is left alone after failures, as long as the model has another address."""
        return now < self.rest_until

    def began(self, label: str, now: float, tokens: int) -> Sent:
        """Count a call that is sent, and the tokens that it is expected to take."""
        self.in_flight += 1
        if label in self.meters:
            self.meters[label].sent(now, tokens)
        if label in self.limits:
            self.limits[label].began()
        if label in self._trying:
            self._trying[label] += 1
        return self.pace.sent(now, self.in_flight, tokens)

    def ended(self, label: str, call: Sent, completion: Completion, now: float) -> None:
        """Count a call that has ended, and learn from how it ended."""
        self._learn(call, completion, now)
        self.in_flight -= 1
        if label in self.meters:
            said = completion.prompt_tokens + completion.completion_tokens
            unsaid = call.tokens if completion.error is None else 0  # a server that counts nothing is capped too
            self.meters[label].ended(now, call.tokens, said or unsaid)
        if label in self.limits:
            self.limits[label].ended()
        if label in self._trying:
            self._trying[label] -= 1
        if completion.wait_s and (completion.error == "rate_limited" or not completion.transient):
            self.pause(now + completion.wait_s)

    def pause(self, until: float) -> None:
        """Send nothing before a time."""
        self.resume_at = max(self.resume_at, until)

    def _learn(self, call: Sent, completion: Completion, now: float) -> None:
        if not completion.transient:
            self._answered()
            self.pace.answered(call, now, self.in_flight)
        elif completion.error == "rate_limited":
            self.pause(now + self.pace.refused(call))
        else:
            self._failed(now, call.at)
            if completion.error == "time_out":
                self.pace.timed_out(call)
            else:
                self.pace.ended(call)

    def _answered(self) -> None:
        """Take note that the server works."""
        self._failures = self._rests = 0
        self.rest_until = 0.0

    def _failed(self, now: float, sent_at: float) -> None:
        """Take note of a failure that may pass; calls that were sent before the last rest say nothing new."""
        if sent_at < self._rested_at:
            return
        self._failures += 1
        if self._failures >= TOLERATED_FAILURES or self._rests:
            self.rest_until = now + min(LONGEST_REST_S, FIRST_REST_S * 2**self._rests)
            self._rests += 1
            self._failures = 0
            self._rested_at = now
