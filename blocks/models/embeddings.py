"""Embeddings as answers: how a vector is read from a server's reply, and how it is kept as text in the ledger."""

import base64
from typing import Any

import numpy as np
import orjson

from kasasagi.blocks.models.llm import Completion, token_count

SHOWN_BYTES = 2000


def pack(vector: Any) -> str:
    """Return a vector as text: base64 of its float32 values, little endian."""
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()


def unpack(text: str) -> Any:
    """Return the vector in a text that `pack` made, as float32 of shape (dimensions,)."""
    return np.frombuffer(base64.b64decode(text), "<f4")


def read_embedding(body: bytes) -> Completion:
    """Return the vector in the reply of an /embeddings endpoint, as a completion whose text is the packed vector.

    Numbers and base64 are both understood. A body that is cut or holds no vector of finite numbers is a passing error.
    """
    try:
        reply = orjson.loads(body)
        value = reply["data"][0]["embedding"]
        vector = _check_vector(unpack(value) if isinstance(value, str) else np.asarray(value, "<f4"))
        usage = reply.get("usage") or {}
        return Completion(
            text=pack(vector), finish_reason="stop", prompt_tokens=token_count(usage.get("prompt_tokens"))
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        detail = f"{error}: {body[:SHOWN_BYTES].decode(errors='replace')}"
        return Completion(error="malformed_reply", detail=detail, transient=True)


def _check_vector(vector: Any) -> Any:
    if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
        raise ValueError("there is no vector of finite numbers in it")
    return vector
