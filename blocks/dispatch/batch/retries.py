"""Requests about batches, retried until the server answers: "no such batch" is an answer, and silence is not.

The two differ: a batch that the server says it does not have may be handed over again; one whose server
does not answer may be there, and paid for.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx2
import openai

from kasasagi.blocks.dispatch.batch.backends import UnexpectedReplyError
from kasasagi.blocks.dispatch.lanes import backoff
from kasasagi.blocks.endpoints.failures import read_failure
from kasasagi.blocks.endpoints.redirects import refused_redirect
from kasasagi.blocks.models.llm import Completion

TRANSIENT_ERRORS = (openai.APIError, httpx2.HTTPError, UnexpectedReplyError)
"""The errors of a failed connection or an unexpected reply; a later attempt may succeed."""
NO_ANSWER = Completion(error="connection", detail="nobody answers", transient=True)
Answer = TypeVar("Answer")


class UnansweredError(Exception):
    """The server gave no answer; refusal is its reply where it refuses every request, else None."""

    def __init__(self, refusal: Completion | None = None) -> None:
        super().__init__("nobody answers" if refusal is None else refusal.detail)
        self.refusal = refusal


async def retry_until_answered(request: Callable[[], Awaitable[Answer]], timeout_s: float) -> Answer:
    """Send a request, again while the server cannot be reached, for timeout_s seconds. Raises UnansweredError.

    Errors that are an answer, such as LostBatchError, pass through.
    """
    until = time.monotonic() + timeout_s
    for attempt in itertools.count():
        try:
            return await request()
        except openai.APIStatusError as error:
            if (failure := read_failure(error)).fatal:
                raise UnansweredError(failure) from error
        except openai.APIConnectionError as error:
            if (refused := refused_redirect(error)) is not None:
                raise UnansweredError(refused) from error
        except TRANSIENT_ERRORS:
            pass
        if time.monotonic() > until:
            break
        await asyncio.sleep(backoff(attempt, None))
    raise UnansweredError
