"""Values of any kind as JSON text: what quarantine shows and what nested columns are carried as."""

import base64
import json
from typing import Any

import orjson

from kasasagi.blocks.canonical import SURROGATES

_OPTIONS = orjson.OPT_NON_STR_KEYS


def json_text(value: Any) -> tuple[str, bool]:
    """Return a value as JSON text, and whether it could be written as it is.

    Lone surrogates (and bytes that were read as such) are shown as U+FFFD, and then the second is False. Bytes
    become base64 text, NaN and infinities null, other foreign values their text.
    """
    try:
        return orjson.dumps(value, default=_foreign, option=_OPTIONS).decode(), True
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, default=_foreign)
        shown, count = SURROGATES.subn("\ufffd", text)
        return shown, not count


def _foreign(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
