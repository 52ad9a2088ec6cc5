"""Whether a model at one address gives answers: since when it gives none, when to try it again, when to give it up."""

from kasasagi.blocks.dispatch.limits.adaptive_concurrency import SentCall
from kasasagi.blocks.models.llm import Completion

TOLERATED_FAILURES = 3
SEVERAL_QUESTIONS = 5
FIRST_REST_S = 1.0
LONGEST_REST_S = 10.0
DOUBLINGS = 10


class Availability:
    """Counts the consecutive failures of one model at one address, in the dispatcher's loop.

    After TOLERATED_FAILURES failures without an answer the address pauses, longer each time, and after each pause a
    single call tries it. This is an outage if the server cannot be reached or takes no calls now (429, 502 to 504), or
    if SEVERAL_QUESTIONS that are not suspect have failed; a few requests may be the cause themselves. Times are those
    of the loop's clock, in seconds.
    """

    def __init__(self) -> None:
        self.resume_at = 0.0
        self.rest_until = 0.0
        self.is_logged = False
        self.given_up = False
        self.last: Completion | None = None
        self.failures = 0
        self.row = object()
        self._since = 0.0
        self._unavailable = False
        self._questions: set[str] = set()
        self._rests = 0
        self._rested_at = 0.0
        self._trial: int | None = None

    @property
    def is_down(self) -> bool:
        """Whether the last calls all failed, whatever the reason."""
        return self.failures >= TOLERATED_FAILURES

    @property
    def is_outage(self) -> bool:
        """Whether the last calls all failed and no question can be the cause."""
        return self.is_down and (self._unavailable or len(self._questions) >= SEVERAL_QUESTIONS)

    @property
    def is_on_trial(self) -> bool:
        """Whether it has rested and not answered since."""
        return self._rests > 0

    def seconds_down(self, now: float) -> float:
        """Seconds since the first of the failures in a row; 0 while there is none."""
        return now - self._since if self.failures else 0.0

    def is_down_too_long(self, now: float, patience_s: float) -> bool:
        """Return whether an outage is longer than patience lasts, the pause that the server asks for included."""
        return self.is_outage and self.seconds_down(now) + max(0.0, self.resume_at - now) >= patience_s

    def pause_exceeds(self, now: float, patience_s: float) -> bool:
        """Return whether it asks for a pause that is longer than patience lasts, e.g. for a quota of the day."""
        return self.failures > 0 and self.resume_at - now > patience_s > 0

    def is_resting(self, now: float) -> bool:
        """Return whether nothing is sent at the moment."""
        return now < self.rest_until

    def admits_call(self, others_work: bool) -> bool:
        """Return whether one more call may be sent: a single one during an outage, or on trial while other addresses
        work.
        """
        single = self.is_outage or (self.is_on_trial and others_work)
        return not single or self._trial is None

    def pause(self, until: float) -> None:
        """Send nothing before a time, as the server asks."""
        self.resume_at = max(self.resume_at, until)

    def on_send(self, number: int) -> None:
        """Note a call that is sent, by its number."""
        if self.is_on_trial:
            self._trial = number

    def on_answer(self, now: float) -> float:
        """Note an answer; return how many seconds it was down, 0 where no outage was reported."""
        seconds = self.seconds_down(now) if self.is_logged else 0.0
        self.rest_until = 0.0
        self.is_logged = self.given_up = False
        if self.failures:
            self.row = object()
        self.failures = self._rests = 0
        self._trial = None
        return seconds

    def on_failure(self, now: float, call: SentCall, completion: Completion) -> None:
        """Note a failure that may pass; a call that was sent before the last rest tells nothing new."""
        if call.number == self._trial:
            self._trial = None
        if self._rests and call.at < self._rested_at:
            return
        if not self.failures:
            self._since = now
            self._unavailable = False
            self._questions.clear()
        self.failures += 1
        self.last = completion
        self._unavailable = self._unavailable or completion.unavailable
        if self.is_down and completion.error != "rate_limited":  # a refusal comes with a pause of its own
            self.rest_until = now + min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(self._rests, DOUBLINGS))
            self._rests += 1
            self._rested_at = now

    def add_question(self, question: str) -> None:
        """Note that one of the failures in the row is that of a question which is not suspect."""
        self._questions.add(question)


def trouble_of(completion: Completion | None) -> str:
    """Return what a model does that answers no call."""
    return "refuses calls" if completion and completion.error == "rate_limited" else "does not answer"


def words_of(completion: Completion | None) -> str:
    """Return why calls fail, in the server's words where there are any."""
    return (completion.detail or completion.error or "") if completion else ""
