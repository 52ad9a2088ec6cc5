"""Reach a model server before questions go to it: wait while it starts, and say why it cannot be used."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import openai

from kasasagi.blocks.dispatch.addresses import Route
from kasasagi.blocks.dispatch.lanes import backoff
from kasasagi.blocks.endpoints.account_errors import with_remedy
from kasasagi.blocks.endpoints.connection_errors import connection_words
from kasasagi.blocks.endpoints.failures import UNAVAILABLE, read_failure
from kasasagi.blocks.endpoints.redirects import RedirectRefusedError

LOGGED_AFTER = 2


@dataclass(frozen=True, slots=True)
class Readiness:
    """The result of reaching a server: whether questions may go there, which models it names, and its words if not."""

    state: Literal["ready", "failing", "loading", "silent", "unusable"]
    models: Sequence[str] = ()
    words: str = ""


async def check_readiness(route: Route, is_silent: Callable[[], bool], log: Callable[[str], None]) -> Readiness:
    """Ask a server for its list of models until it answers.

    A server that answers 502, 503 or 504 is loading, and the run waits for it up to `patience_s`. Others get
    `max_retries` further attempts. A server that fails after these is still used, since not every server lists its
    models.

    Args:
        route: The model and the address.
        is_silent: Called when the attempts are used up without an answer; returns whether to give up because no other
            address of the model answers either.
        log: Logs a line for people.

    Returns:
        Whether the server is ready, unusable, or silent at all addresses, with the reason.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    for attempt in itertools.count():
        found = await _try(route)
        left = started + route.model.patience_s - loop.time()
        if found.state == "loading" and attempt == LOGGED_AFTER:
            waiting = f"; waiting up to {left:.0f} s" if left >= 1 else ""
            log(f"model {route.label!r} at {route.address.url} is loading ({found.words}){waiting}")
        if (final := _final(found, attempt >= route.model.max_retries, left <= 0, is_silent)) is not None:
            return final
        await asyncio.sleep(backoff(attempt, None))
    raise AssertionError


def _final(found: Readiness, used_up: bool, too_late: bool, is_silent: Callable[[], bool]) -> Readiness | None:
    """Return the final result after an attempt; None where another one is due."""
    if found.state == "loading" and too_late:
        return Readiness("unusable", words=f"it is still loading ({found.words}); raise patience_s to wait longer")
    if found.state == "failing" and used_up:
        return Readiness("ready")
    if found.state == "silent" and used_up and is_silent():
        return Readiness("silent", words=f"cannot connect: {found.words}")
    return found if found.state in ("ready", "unusable") else None


async def _try(route: Route) -> Readiness:
    """Make one attempt."""
    try:
        return Readiness("ready", await route.endpoint.models() or ())
    except openai.APIStatusError as error:
        failure = read_failure(error)
        words = with_remedy(failure.error, route.endpoint.without_key(failure.detail))
        if failure.fatal:
            return Readiness("unusable", words=f"the server answers {words}")
        if error.status_code in UNAVAILABLE:
            return Readiness("loading", words=words)
        return Readiness("failing" if failure.transient else "ready", words=words)
    except (RedirectRefusedError, ValueError, TypeError) as error:
        no_request = f"no request can be made ({type(error).__name__}); check the key"
        return Readiness("unusable", words=str(error) if isinstance(error, RedirectRefusedError) else no_request)
    except Exception as error:
        return Readiness("silent", words=connection_words(error))
