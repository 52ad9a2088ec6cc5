"""How many calls may be in flight at one address: a limit that adapts to what the server does with them.

Growth is multiplicative as long as it pays: after each step the mean time of a call at the new level is compared with
that at the old one (by Little's law their quotient is the gain in throughput), and a step that gained too little is
taken back. A refusal (429) is believed to be about the number of calls only where
`dispatch.limits.refusals` sees that it is; the limit then falls to what the server is at work on, but never by more
than half at once. Refusals that come at any level, and a single call that times out, cost little: the limit returns
with the next answers.
"""

import math
from collections import deque
from dataclasses import dataclass

from kasasagi.blocks.dispatch.limits.rate_refusals import Refusals

FEWEST_ANSWERS = 32
WORTH = 0.25
GATED_STRIDE = 0.2
FIRST_STRIDE = 1.0
STRIDE_AFTER_PLATEAU = 0.25
STRIDE_AFTER_REFUSAL = 0.02
STRIDE_GROWTH = 1.5
WINDOWS_HELD_AFTER_PLATEAU = 6
WINDOWS_HELD_AFTER_REFUSAL = 4
REMEMBERED = 64
FILLED_BY_AN_ANSWER = 1 / 8
MOST_EMPTIED = 0.1
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
QUEUE_SHARE = 1 / 16


@dataclass(frozen=True, slots=True)
class SentCall:
    """One call as it was sent: when, as which of all, how many were in flight with it, under which limit of many.

    It takes several places of the limit where it asks a server that queues for several samples.
    """

    at: float
    number: int
    level: int
    epoch: int
    tokens: int = 0
    places: int = 1


class AdaptiveConcurrency:
    """The adaptive limit of calls in flight at one address. Times are those of the loop's clock, in seconds."""

    def __init__(self) -> None:
        self.limit = 0
        self._most = 0
        self._target = 0
        self._floor = 0
        self._epoch = 0
        self._cut_at = 0
        self._cut_from = (0, FIRST_STRIDE)
        self._cut_to = 0
        self._cut_votes = 0
        self._stride = FIRST_STRIDE
        self._windows_held = 0
        self._unbroken = 0
        self._queue_is_watched = False
        self._number = 0
        self._refusals = Refusals()
        self._unanswered: dict[int, None] = {}
        self._ended: deque[tuple[int, bool]] = deque(maxlen=REMEMBERED)
        self._before: tuple[int, float] | None = None
        self._answers = 0
        self._seconds = 0.0
        self._emptied = 0.0

    def allow(self, first: int, most: int) -> None:
        """Let as many calls in flight as a model may have here at first and at most."""
        self._most = max(self._most, most)
        if first > self.limit and not self._epoch:
            self.limit = self._target = first

    @property
    def room(self) -> int:
        """How many calls may be in flight now: the limit, less slots of calls that were just refused."""
        return max(1, self.limit - math.ceil(self._emptied))

    def on_send(self, now: float, in_flight: int, tokens: int = 0, places: int = 1) -> SentCall:
        """Note a call that is sent, in_flight with it, which is expected to take some tokens."""
        self._number += 1
        self._unanswered[self._number] = None
        self._refusals.on_send(self._number, in_flight)
        return SentCall(now, self._number, in_flight, self._epoch, tokens, places)

    def on_end(self, call: SentCall) -> None:
        """Note that a call is not in flight any more; for one that failed in another way this is all there is to it."""
        self._unanswered.pop(call.number, None)

    def on_answer(self, call: SentCall, now: float, in_flight: int) -> None:
        """Learn from a call that the server took; in_flight were in flight with it."""
        self.on_end(call)
        self._ended.append((call.level, True))
        self._unbroken = 0
        self._emptied = max(0.0, self._emptied - FILLED_BY_AN_ANSWER - self._refusals.usual_per_answer)
        if call.epoch < self._cut_at and call.level > self._cut_to:
            self._vote_on_cut(1)
        if self._return_to_target() or call.epoch != self._epoch or in_flight < 0.9 * self.room:
            return
        self._answers += call.places
        self._seconds += call.places * (now - call.at)
        if self._answers >= max(min(FEWEST_ANSWERS, 4 * self.limit), self.limit // 2):
            self._step(self._seconds / self._answers)

    def on_refusal(self, call: SentCall) -> float:
        """Learn from a 429; gives the seconds for which nothing should be sent, unless the server asked for more."""
        self.on_end(call)
        self._emptied = min(self._emptied + 1, max(1.0, self.limit * MOST_EMPTIED))
        if not self._refusals.on_refusal(call.number, call.level):
            self._keep_below(self._refusals.ceiling())
            return 0.0
        if call.epoch < self._cut_at:  # sent before the limit was cut: all that it may say is by how much too little
            self._vote_on_cut(-1)
            at_least = max(self._floor, call.level - 1, self._taken_before(call))
            self.limit = self._target = self._cut_to = min(self.limit, at_least)
            return 0.0
        at_work = max(self._taken_before(call), self._refusals.lowest - 1)
        self._cut(max(self.limit // 2, min(self.limit, at_work)))
        self._unbroken += 1  # since the last answer: while answers come, there is nothing to wait for
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._unbroken, 20)) if self._unbroken > 1 else 0.0

    def on_timeout(self, call: SentCall) -> None:
        """Learn from a call that had no answer in time: halve the limit, for long only if other calls fare likewise."""
        self.on_end(call)
        self._ended.append((call.level, False))
        target = self._target
        if call.epoch >= self._cut_at:
            self._cut(self.limit // 2)
        else:
            self._vote_on_cut(-1)
        self._target = max(self.limit, self._floor) if self._others_fared_likewise(call.level) else target

    def on_queue_length(self, waiting: int, in_flight: int) -> None:
        """Learn how many calls wait at a server that queues instead of refusing: a few are enough to keep it busy."""
        self._queue_is_watched = True
        surplus = waiting - max(0, in_flight - self.limit)
        wanted = max(2, int(self.limit * QUEUE_SHARE))
        if surplus > wanted:
            least = max(1, self.limit // 2, int(self._most * QUEUE_SHARE))
            self._change(min(self.limit, max(least, self.limit - (surplus - wanted))))
        elif not waiting and in_flight >= self.limit:
            self._change(min(self._most, self.limit + max(1, self.limit // 4)))

    def _cut(self, limit: int) -> None:
        """Lower the limit, from now on for all calls that are not sent yet, and by half at most."""
        self._floor = max(1, self.limit // 2)
        self._cut_from = (self.limit, self._stride)
        self._cut_votes = -1
        self._change(max(1, limit), WINDOWS_HELD_AFTER_REFUSAL, STRIDE_AFTER_REFUSAL)
        self._cut_at, self._cut_to = self._epoch, self.limit

    def _keep_below(self, ceiling: int | None) -> None:
        """Lower the limit to a level above which calls are refused, if one is known, and try higher ones with care."""
        if ceiling is not None and self.limit // 2 <= ceiling < self.limit:
            self._change(max(1, ceiling), WINDOWS_HELD_AFTER_REFUSAL, STRIDE_AFTER_REFUSAL)

    def _vote_on_cut(self, vote: int) -> None:
        """Undo a cut where the server took most of the calls that were sent before it after all."""
        self._cut_votes += vote
        if self._cut_votes == 1:
            before, stride = self._cut_from
            self._target, self._stride, self._windows_held = max(self._target, before), stride, 0

    def _return_to_target(self) -> bool:
        """Return one step back to a level that is thought to be good; False if that is where the limit is."""
        if self.limit >= self._target:
            return False
        self.limit += 1
        return True

    def _taken_before(self, call: SentCall) -> int:
        """Return how many calls the server is at work on, of those that were sent before one.

        A refusal comes at once and an answer late, so that an older call that is still in flight was taken.
        """
        return sum(number < call.number for number in self._unanswered)

    def _others_fared_likewise(self, level: int) -> bool:
        """Return whether most of the latest calls that were sent at some level or above had no answer in time."""
        there = [answered for at, answered in self._ended if at >= level]
        return 2 * sum(there) < len(there)

    def _step(self, mean: float) -> None:
        """At the end of a window: keep the last step or take it back, and try the next."""
        if self._windows_held:
            self._windows_held -= 1
            self._answers, self._seconds = 0, 0.0
            return
        if self._brought_too_little(mean) and self._before is not None:
            limit = self._before[0]
            self._before = None
            self._change(limit, WINDOWS_HELD_AFTER_PLATEAU, STRIDE_AFTER_PLATEAU)
            return
        before = (self.limit, mean)
        larger = self.limit if self._queue_is_watched else self.limit + max(1, int(self.limit * self._stride))
        self._change(min(self._most, larger), 0, min(FIRST_STRIDE, self._stride * STRIDE_GROWTH))
        self._before = before

    def _brought_too_little(self, mean: float) -> bool:
        if self._before is None or self.limit < (1 + GATED_STRIDE) * self._before[0]:
            return False
        level, seconds = self._before
        growth = self.limit / level
        return growth * seconds / max(mean, 1e-9) < 1 + WORTH * (growth - 1)

    def _change(self, limit: int, windows_held: int | None = None, stride: float | None = None) -> None:
        """Start again at another limit."""
        if limit != self.limit:
            self._epoch += 1
        self.limit = self._target = limit
        self._windows_held = self._windows_held if windows_held is None else windows_held
        self._stride = self._stride if stride is None else stride
        self._before = None
        self._answers, self._seconds = 0, 0.0
