"""Damaged words of a server about a batch: read as far as they say something, else asked for again."""

from contextlib import suppress

import orjson
from hypothesis import given
from openai.types import Batch

from blocks.batch_places import ENDINGS, StrangeReplyError, read_batch
from tests.fuzz.mutations import mutations_of

BATCHES = tuple(
    orjson.dumps(
        {
            "id": "batch_1",
            "object": "batch",
            "status": status,
            "output_file_id": "file-1",
            "error_file_id": None,
            "errors": {"object": "list", "data": [{"code": "token_limit_exceeded", "message": "later"}]},
            "metadata": {"kasasagi": "name"},
        }
    )
    for status in ("in_progress", "completed", "failed")
)


@given(mutations_of(*BATCHES))
def test_damaged_words_about_a_batch_are_read_or_asked_for_again(body: bytes) -> None:
    value: object = body.decode(errors="replace")
    with suppress(orjson.JSONDecodeError):
        value = orjson.loads(body)
    batch = Batch.construct(**value) if isinstance(value, dict) else value
    with suppress(StrangeReplyError):
        seen = read_batch(batch)
        assert seen.ending in (None, *ENDINGS)
        assert all(isinstance(name, str) for name in seen.results)
