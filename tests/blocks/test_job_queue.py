"""What waits for a model: questions of one prefix go to one address, behind the first of them, and nothing idles."""

from itertools import count

import pytest

from kasasagi.blocks.dispatch.job_queue import JobQueue
from kasasagi.blocks.dispatch.lanes import Job

URLS = ["http://a/v1", "http://b/v1"]


def queued(*wanted: str, rank: int = 0, urls: list[str] = URLS) -> JobQueue:
    """A queue of questions by key, such as `p1`, whose letter is the prefix."""
    queue, numbers = JobQueue(urls), count()
    for key in wanted:
        number = next(numbers)
        queue.push((-rank, 0, number, Job("small", key, {}, rank, 0, prefix=key[0])))
    return queue


def popped(queue: JobQueue, *full: str) -> str:
    return queue.pop(full)[-1].key


def prefix_at(url: str) -> str:
    """A prefix whose home is an address."""
    queue = JobQueue(URLS)
    return next(sign for sign in "abcdefgh" if queue.home(Job("small", "", {}, 0, 0, prefix=sign)) == url)


def test_what_has_no_prefix_goes_in_its_order() -> None:
    queue = JobQueue(URLS)
    for rank, number in ((0, 1), (0, 2), (1, 3)):
        queue.push((-rank, 0, number, Job("small", str(number), {}, rank, 0)))
    assert [popped(queue) for _ in range(3)] == ["3", "1", "2"]
    assert not queue
    with pytest.raises(ValueError, match="no question waits"):
        queue.pop()


def test_the_others_of_a_prefix_wait_for_the_first_while_other_prefixes_do() -> None:
    queue = queued("p1", "p2", "p3", "q1", "q2", "r1", urls=URLS[:1])
    first = queue.pop()[-1]
    assert [first.key, popped(queue)] == ["p1", "q1"]
    queue.on_end(first)
    assert [popped(queue) for _ in range(2)] == ["p2", "p3"]
    assert popped(queue) == "r1"
    assert popped(queue) == "q2", "nothing else waits, so that it goes at once"
    assert not queue


def test_a_question_that_is_asked_again_waits_for_none() -> None:
    queue = queued("p1", "p2")
    first = queue.pop()[-1]
    first.attempts = 1
    queue.push((0, 0, 9, first))
    assert popped(queue) == "p1"


def test_of_equal_rank_those_go_last_whose_address_is_full() -> None:
    one, other = map(prefix_at, URLS)
    queue = queued(f"{one}1", f"{other}1", f"{one}2")
    assert popped(queue, URLS[0]) == f"{other}1"
    assert popped(queue, URLS[0]) == f"{one}1", "an address with room never waits for the other"


def test_a_higher_rank_goes_first_wherever_it_is_at_home() -> None:
    one, other = map(prefix_at, URLS)
    queue = queued(f"{other}1")
    queue.push((-1, 5, 5, Job("small", f"{one}1", {}, 1, 5, prefix=one)))
    assert popped(queue, URLS[0]) == f"{one}1"


def test_one_address_stands_in_for_a_home_that_is_down_and_no_other_home_moves() -> None:
    urls = [f"http://{name}/v1" for name in "abc"]
    queue, (down, *live) = JobQueue(urls), urls
    jobs = [Job("small", "", {}, 0, 0, prefix=str(number)) for number in range(60)]
    moved = {job.prefix: queue.home(job, live) for job in jobs if queue.home(job) == down}
    assert set(moved.values()) == set(live)
    assert all(queue.home(job, live) == queue.home(job) for job in jobs if job.prefix not in moved)
    assert queue.home(Job("small", "", {}, 0, 0), live) == ""


def test_what_may_share_a_call_is_found_at_its_home_whatever_waits_elsewhere() -> None:
    one, other = map(prefix_at, URLS)
    queue = JobQueue(URLS)
    for number, key in enumerate([f"{one}1", f"{other}1", f"{other}2", f"{other}3", f"{other}4"]):
        asked = {"messages": [{"role": "user", "content": key[0]}]}
        queue.push((0, 0, number, Job("small", key, asked, 0, 0, prefix=key[0], attempts=key[1] == "4")))
    first = queue.pop(URLS[:1])[-1]
    assert first.key == f"{other}1"
    assert [job.key for job in queue.take_like(first, 1)] == [f"{other}2"]
    assert [job.key for job in queue.take_like(first, 9)] == [f"{other}3"], "one that is asked again goes alone"
    assert queue.take_like(Job("small", f"{one}2", first.request, 0, 0, prefix=one), 9) == []


def test_turned_round_the_lowest_rank_goes_first_and_nothing_is_lost() -> None:
    queue = queued("p1", "p2", "p3", rank=2)
    queue.push((-1, 0, 7, Job("small", "x", {}, 1, 0)))
    assert [popped(queue), popped(queue)] == ["p1", "x"]
    queue.push((-1, 0, 8, Job("small", "y", {}, 1, 0)))
    queue.reverse()
    assert [popped(queue) for _ in range(3)] == ["y", "p2", "p3"]
