"""What is asked patiently of a server that has batches: "I have none" is an answer, and silence is not.

Whoever asks must tell the two apart: a batch that the server says it does not have may be handed over again; one that
nobody could be asked about may be there, and paid for.
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
from kasasagi.blocks.endpoints.openai import read_failure
from kasasagi.blocks.endpoints.redirects import refused_redirect
from kasasagi.blocks.models.llm import Completion

UNHEARD = (openai.APIError, httpx2.HTTPError, UnexpectedReplyError)
"""What a connection, or a reply that is none, ends with; it may pass."""
SILENCE = Completion(error="connection", detail="nobody answers", transient=True)
Answer = TypeVar("Answer")


class UnansweredError(Exception):
    """Nobody could be asked; refusal is what the server says of all that it is asked, None where it says nothing."""

    def __init__(self, refusal: Completion | None = None) -> None:
        super().__init__("nobody answers" if refusal is None else refusal.detail)
        self.refusal = refusal


async def retry_until_answered(asked: Callable[[], Awaitable[Answer]], timeout_s: float) -> Answer:
    """What a server says, asked again while it cannot be reached, for timeout_s seconds. Raises UnansweredError.

    Errors that are an answer, as LostBatchError is, pass through.
    """
    until = time.monotonic() + timeout_s
    for attempt in itertools.count():
        try:
            return await asked()
        except openai.APIStatusError as error:
            if (failure := read_failure(error)).fatal:
                raise UnansweredError(failure) from error
        except openai.APIConnectionError as error:
            if (refused := refused_redirect(error)) is not None:
                raise UnansweredError(refused) from error
        except UNHEARD:
            pass
        if time.monotonic() > until:
            break
        await asyncio.sleep(backoff(attempt, None))
    raise UnansweredError
