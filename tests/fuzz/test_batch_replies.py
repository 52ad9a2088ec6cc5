"""Damaged words of a server about a batch: what they say is read, and the rest is requested again."""

from contextlib import suppress

import orjson
from hypothesis import given
from openai.types import Batch

from kasasagi.blocks.dispatch.batch.backends import ENDINGS, UnexpectedReplyError, read_batch
from kasasagi.blocks.dispatch.batch.result_lines import read_results
from kasasagi.blocks.models.llm import Completion
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
    with suppress(UnexpectedReplyError):
        seen = read_batch(batch)
        assert seen.ending in (None, *ENDINGS)
        assert all(isinstance(name, str) for name in seen.results)


def test_a_vector_is_no_answer_to_words_and_words_are_no_vector() -> None:
    vector, words = {"data": [{"embedding": [1.0, 2.0]}]}, {"choices": [{"message": {"content": "yes"}}]}
    key = "a" * 32

    def result(body: dict[str, object], embeds: bool) -> Completion:
        line = orjson.dumps({"custom_id": key, "response": {"status_code": 200, "body": body}})
        return read_results([line], frozenset([key]), embeds)[key]

    assert result(vector, embeds=True).error is None
    assert result({**vector, **words}, embeds=False).text == "yes"
    assert result(vector, embeds=False).transient
    assert result(words, embeds=True).transient
