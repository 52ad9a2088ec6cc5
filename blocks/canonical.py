"""Canonical JSON and the digests that name rows, requests and shards."""

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

DIGEST_BYTES = 16
SURROGATES = re.compile("[\ud800-\udfff]")
"""Lone surrogates, which are no characters and cannot be written as UTF-8."""
_CANONICAL = orjson.OPT_SORT_KEYS


class NotCanonicalError(ValueError):
    """A value that has no canonical JSON, such as a lone surrogate or a 70-bit number."""


def canonical(value: Any) -> bytes:
    """Return the one JSON text of a value: keys sorted, no blanks, UTF-8, nothing escaped.

    Raises:
        NotCanonicalError: If the value cannot be written as JSON.
    """
    try:
        text = orjson.dumps(value, option=_CANONICAL)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise NotCanonicalError(f"this value cannot be written as JSON: {error}") from error
    if b"null" in text and not _finite(value):  # orjson writes null for NaN, which would make unequal values equal
        raise NotCanonicalError("this value cannot be written as JSON: it contains a number that is not finite")
    return text


def _finite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def digest(value: Any) -> str:
    """blake2b-128 over a value's canonical JSON, as 32 hexadecimal digits."""
    return digest_bytes(canonical(value))


def digest_bytes(data: bytes) -> str:
    """blake2b-128 of some bytes, as 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def digest_file(path: Path) -> str:
    """blake2b-128 of a file's content, read in pieces, as 32 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()


def prompt_id(messages: list[dict[str, str]]) -> str:
    """Return the id of a conversation that waits for an answer: the digest of its messages alone."""
    return digest({"messages": [{"content": m["content"], "role": m["role"]} for m in messages]})


def draw_id(template: str, call_id: str, text: str) -> str:
    """Return the id of one raw Magpie sample; its call tells the draw's number and round."""
    return digest({"call_id": call_id, "template": template, "text": text})


def response_id(prompt: str, model: str, sample_index: int, content: str) -> str:
    """Return the id of one answer: whose it is, to what, which sample, and what it says."""
    return digest({"content": content, "model": model, "prompt_id": prompt, "sample_index": sample_index})


def ledger_key(identity: str, request: Mapping[str, Any], draw: int, round_: int = 0) -> str:
    """Return the key of one sample in the ledger.

    identity is the model's (name and revision or weights, never an address), request what is asked without
    transport, `n` or priority; draw counts equal requests to one model; another round_ makes new draws.
    """
    name: dict[str, Any] = {"draw": draw, "model": identity, "request": request}
    if round_:
        name["round"] = round_
    return digest(name)
