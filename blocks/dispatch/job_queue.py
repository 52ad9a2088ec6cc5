"""The questions that wait for one model: in which order, and at which of its addresses, they are sent."""

import heapq
import zlib
from collections.abc import Collection, Iterator, Sequence

from kasasagi.blocks.dispatch.lanes import Job
from kasasagi.blocks.dispatch.sharing import alike

QueueEntry = tuple[int, int, int, Job]


class JobQueue:
    """The questions that wait for one model, the most urgent first.

    Questions of one prefix have one home among the model's addresses, the same in every process, so that its cache has
    what they share. While the first of them is on its way, the others let those of other prefixes go ahead, so that the
    cache has it by then; they follow at once where nothing else waits, those of the longest on its way first.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._heaps: dict[str, list[QueueEntry]] = {}
        self._following: dict[str, list[QueueEntry]] = {}

    def __bool__(self) -> bool:
        return any(self._heaps.values()) or any(self._following.values())

    def __iter__(self) -> Iterator[QueueEntry]:
        for entries in (*self._heaps.values(), *self._following.values()):
            yield from entries

    def home(self, job: Job, live: Sequence[str] = ()) -> str:
        """Return the address where a question is best sent to; empty where any will do.

        Args:
            job: The question.
            live: The addresses that take questions now; one of them stands in for a home that does not.
        """
        if not job.prefix:
            return ""
        turn, place = divmod(zlib.crc32(job.prefix.encode()), len(self._urls))
        home = self._urls[place]
        return home if home in live or not live else live[turn % len(live)]

    def push(self, entry: QueueEntry) -> None:
        """Queue a question, with its rank (the lowest goes first), the order of its chunk and its number."""
        heapq.heappush(self._heaps.setdefault(self.home(entry[-1]), []), entry)

    def first(self) -> QueueEntry:
        """Return the most urgent question, of those that wait for none if any do.

        Raises:
            ValueError: For no question.
        """
        entries = [heap for heap in self._heaps.values() if heap] or filter(None, self._following.values())
        return min(some[0] for some in entries)

    def take_like(self, job: Job, most: int) -> list[Job]:
        """Take out the next questions, at most so many, that may share the call of one that was popped."""
        heap, found = self._heaps.get(self.home(job), []), list[Job]()
        while len(found) < most and heap and _may_join(heap[0][-1], job):
            found.append(heapq.heappop(heap)[-1])
        return found

    def pop(self, full: Collection[str] = ()) -> QueueEntry:
        """Return the question to send next, and remove it.

        Args:
            full: The addresses that work but take no more now; of equal rank, questions at home there go last.

        Raises:
            ValueError: If none waits.
        """
        while any(self._heaps.values()):
            home = min((home for home, heap in self._heaps.items() if heap), key=lambda home: self._turn(home, full))
            entry = heapq.heappop(self._heaps[home])
            if not self._follows(entry):
                return entry
        prefix = next((prefix for prefix, entries in self._following.items() if entries), None)
        if prefix is None:
            raise ValueError("no question waits")
        self._requeue(prefix)
        self._following[prefix] = []
        return self.pop(full)

    def on_end(self, job: Job) -> None:
        """Let the questions go that waited for the first of their prefix."""
        if not job.attempts and not job.has_followed:
            self._requeue(job.prefix)

    def clear(self) -> None:
        """Forget all that wait."""
        self._heaps.clear()
        self._following.clear()

    def reverse(self) -> None:
        """Let what had the highest rank go first that had the lowest."""
        entries = list(self)
        self._heaps.clear()
        self._following = {prefix: [] for prefix in self._following}
        for rank, order, number, job in entries:
            self.push((-rank, order, number, job))

    def _turn(self, home: str, full: Collection[str]) -> tuple[int, bool, int, int]:
        rank, order, number, _ = self._heaps[home][0]
        return rank, home in full, order, number

    def _follows(self, entry: QueueEntry) -> bool:
        """Return whether a question waits for the first of its prefix, which is on its way; else it may be
        the first.
        """
        job = entry[-1]
        if not job.prefix or job.attempts or job.has_followed:
            return False
        if job.prefix not in self._following:
            self._following[job.prefix] = []
            return False
        self._following[job.prefix].append(entry)
        return True

    def _requeue(self, prefix: str) -> None:
        for entry in self._following.pop(prefix, ()):
            entry[-1].has_followed = True
            self.push(entry)


def _may_join(other: Job, job: Job) -> bool:
    """Return whether a question may share the call of another."""
    is_due_with_it = other.rank == job.rank and other.attempts == job.attempts
    return is_due_with_it and other.may_share and alike(job.request, other.request)
