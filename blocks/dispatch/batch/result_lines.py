"""The lines that a batch ends with: each is read by its custom_id, never by its place."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import openai
import orjson

from kasasagi.blocks.endpoints.failures import read_failure, words_of_error
from kasasagi.blocks.endpoints.openai import read_reply
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.embeddings import read_embedding
from kasasagi.blocks.models.llm import Completion

LINES_AT_ONCE = 1_000


async def in_portions(lines: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Yield the lines, LINES_AT_ONCE at a time."""
    some: list[bytes] = []
    async for line in lines:
        some.append(line)
        if len(some) == LINES_AT_ONCE:
            yield some
            some = []
    yield some


def store_permanent(ledger_folder: Path, identity: str, found: Mapping[str, Completion]) -> dict[str, Completion]:
    """Keep the answers, and the failures that will not pass, in the ledger; what is kept, by key. Raises LedgerError.

    identity is what the ledger knows the model by.
    """
    lasting = [LedgerEntry(key, identity, one) for key, one in found.items() if not one.transient and not one.fatal]
    if not lasting:
        return {}
    ledger = Ledger(ledger_folder)
    try:
        return ledger.append(lasting)
    finally:
        ledger.close()


def stored_answers(ledger_folder: Path, keys: Sequence[str]) -> dict[str, Completion]:
    """Return the answers to some questions that are in the ledger, by key; a kept failure is none.

    Raises LedgerError.
    """
    ledger = Ledger(ledger_folder)
    try:
        return {key: one for key, one in ledger.known(keys).items() if one.error is None}
    finally:
        ledger.close()


def read_results(
    lines: Iterable[bytes],
    wanted: frozenset[str],
    embeds: bool = False,
    learn: Callable[[str, int, str], bool] = lambda key, status, words: False,
) -> dict[str, Completion]:
    """Return the completions in some lines, by custom_id; the first line of an id counts.

    Lines that are none of ours, or no results at all, are passed over: their requests are asked again.

    Args:
        lines: Lines of a results file.
        wanted: The ids that are waited for.
        embeds: Whether vectors were asked for.
        learn: Takes the id, the status and the server's words of a refusal, and returns whether the request would be
            sent differently now; such a refusal passes.
    """
    found: dict[str, Completion] = {}
    for line in lines:
        result = _object(line)
        key = result.get("custom_id")
        if isinstance(key, str) and key in wanted and key not in found:
            completion = _completion(result, embeds)
            found[key] = replace(completion, transient=True) if _is_learnt(result, key, learn) else completion
    return found


def _is_learnt(result: dict[str, Any], key: str, learn: Callable[[str, int, str], bool]) -> bool:
    response = result.get("response")
    if not isinstance(response, dict):
        return False
    status = response.get("status_code")
    return isinstance(status, int) and status >= 400 and learn(key, status, words_of_error(response.get("body")))


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _completion(result: dict[str, Any], embeds: bool) -> Completion:
    """Return one result: an answer, a status with the server's words, or an error of the batch itself,
    which may pass.
    """
    response, error = result.get("response"), result.get("error")
    if isinstance(response, dict):
        status, body = response.get("status_code"), response.get("body")
        if status == 200:
            return (read_embedding if embeds else read_reply)(orjson.dumps(body))
        if isinstance(status, int) and 400 <= status < 600:
            reply = httpx2.Response(status, request=httpx2.Request("POST", "http://batch"))
            return read_failure(openai.APIStatusError("", response=reply, body=body))
    words = error if isinstance(error, dict) else {}
    detail = " ".join(str(words[name]) for name in ("code", "message") if words.get(name))
    return Completion(error="batch_failed", detail=detail.encode(errors="replace").decode(), transient=True)
