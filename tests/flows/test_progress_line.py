"""The line at the terminal's foot, and what there is of it where there is no terminal."""

import io
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from kasasagi.blocks.dispatch.pending_requests import Counters
from kasasagi.flows.reporting.progress import Progress
from kasasagi.flows.reporting.progress_line import Rate, line, shown, time_left


def dispatcher(**fields: Any) -> Any:
    return SimpleNamespace(counters=Counters(**fields), in_flight=lambda: 12)


def test_before_anything_is_asked_it_says_what_is_being_done() -> None:
    assert line(Progress(now="loading"), None, 0.0, None) == "loading"
    assert line(Progress(now="planning"), dispatcher(), 0.0, None) == "planning"


def test_it_tells_chunks_rates_tokens_cost_and_time_left() -> None:
    progress = Progress(now="answering", done={"respond": 3}, wanted={"respond": 10, "judge": 10, "load": 1})
    counters = {"asked": 2000, "answered": 1234, "retried": 5, "cost_usd": 1.5}
    text = line(progress, dispatcher(**counters, prompt_tokens=10_000, completion_tokens=5), 99.6, 3725.0)
    assert text == (
        "answering · respond 3/10 · judge 0/10 · 1,234 answered, 12 in flight, 100/s · 10,005 tokens · "
        "5 tried again · $1.50 · about 1:02:05 left"
    )


def test_what_is_nothing_is_left_out() -> None:
    text = line(Progress(now="answering"), dispatcher(asked=1), 0.0, 59.9)
    assert text == "answering · 0 answered, 12 in flight, 0/s · 0 tokens · about 0:59 left"


def test_a_long_pause_and_a_limit_without_a_free_slot_are_told() -> None:
    far = time.monotonic() + 400.5
    text = line(Progress(now="answering"), dispatcher(asked=1, next_at=far), 0.0, None)
    assert re.search(r" · the next call in 6:(40|39|38|37)$", text)
    assert "next call" not in line(Progress(now="x"), dispatcher(asked=1, next_at=time.monotonic() + 1), 0.0, None)
    text = line(Progress(now="answering"), dispatcher(asked=1, short_of="gpu"), 0.0, None)
    assert text.endswith(" · no slot of Prefect's limit 'gpu' is free")


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate(window_s=10)
    assert rate(0.0, 0) == 0.0
    assert rate(5.0, 50) == 10.0
    assert rate(10.0, 50) == 5.0
    assert rate(30.0, 90) == 0.0, "older counts have left the window"
    assert rate(32.0, 100) == 5.0


@pytest.mark.parametrize(
    ("done", "wanted", "left"),
    [({}, {}, None), ({"a": 2}, {"a": 9}, None), ({"a": 3}, {"a": 9}, 20.0), ({"a": 9}, {"a": 9}, None)],
)
def test_the_time_left_is_told_once_there_is_something_to_tell_it_by(
    done: dict[str, int], wanted: dict[str, int], left: float | None
) -> None:
    assert time_left(Progress(done=done, wanted=wanted), 10.0) == left


def test_a_stage_that_did_more_than_was_foreseen_does_not_turn_time_back() -> None:
    assert time_left(Progress(done={"a": 30, "b": 0}, wanted={"a": 4, "b": 4}), 8.0) == 8.0


def test_progress_counts_and_keeps_what_was_done_before_it_was_expected() -> None:
    progress = Progress()
    progress.count("filter")
    progress.expect("filter", 2)
    progress.count("filter")
    assert (progress.done, progress.wanted) == ({"filter": 2}, {"filter": 2})


def test_nothing_is_shown_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with shown(Console(file=out, force_terminal=False), Progress()) as dispatchers:
        dispatchers.append(dispatcher(asked=1))
    assert out.getvalue() == ""


def test_it_is_shown_and_taken_away_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.blocks.helpers import until

    monkeypatch.setattr("kasasagi.flows.reporting.progress_line.REFRESH_S", 0.01)
    out = io.StringIO()
    with shown(Console(file=out, force_terminal=True, width=200), Progress(now="judging birds")) as dispatchers:
        dispatchers.append(dispatcher(asked=7, answered=3))
        until(lambda: "3 answered" in out.getvalue())
    assert "judging birds" in out.getvalue()
