"""Damaged replies of Prefect, the Hub and Argilla: what they say is read as it is, or refused in one sentence."""

import asyncio
import json
import math
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kasasagi.blocks.destinations import DestinationError
from kasasagi.blocks.destinations.argilla import RATINGS, ArgillaDataset
from kasasagi.blocks.destinations.hub import HubRepository
from kasasagi.blocks.dispatch.limits.shared_limit import LimitError
from kasasagi.blocks.dispatch.prefect_slots import PrefectSlots
from tests.fuzz.mutations import check_plain_message, mutations_of
from tests.served import served

FEW = settings(max_examples=settings().max_examples // 2)
ID = "7b0f3d1e-6f0c-4f5e-9b1a-0d4a53c1c0aa"
AT = "2026-11-01T10:00:00Z"
LIMIT = {"id": ID, "created": AT, "updated": AT, "active": True, "name": "gpu", "limit": 64, "active_slots": 3}
LEASE = {"lease_id": ID, "limits": [{"id": ID, "name": "gpu", "limit": 64}]}
DATASET = {
    "id": "o/r",
    "sha": "a" * 40,
    "private": False,
    "lastModified": "2026-11-01T10:00:00.000Z",
    "siblings": [{"rfilename": "README.md"}, {"rfilename": "train.parquet"}],
    "cardData": {"license": "mit"},
    "tags": ["a"],
}


class Saying:
    """A server that has the same words for everybody."""

    body = b""
    address = ""


@pytest.fixture(scope="module")
def saying() -> Iterator[Saying]:
    words = Saying()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(404 if "csrf-token" in self.path else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(words.body)))
            self.end_headers()
            self.wfile.write(words.body)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    import huggingface_hub.constants  # noqa: F401 - it stores the Hub's address at its import

    with served(Handler) as words.address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", f"{words.address}/api")
        patch.setenv("HF_ENDPOINT", words.address)
        patch.setenv("SOME_TOKEN", "hf_a-token-of-ours")
        yield words


def slots_of(saying: Saying, body: bytes) -> list[Any]:
    """What a damaged Prefect says of a limit's size and of a lease, so far as it can be read."""

    async def asked() -> list[Any]:
        slots, found = PrefectSlots(), list[Any]()
        for ask in (slots.size("gpu"), slots.take("gpu", 4)):
            try:
                found.append(await ask)
            except LimitError as error:
                check_plain_message(error, "\n")
        await slots.close()
        return found

    saying.body = body
    return asyncio.run(asked())


def test_whole_words_are_read(saying: Saying) -> None:
    assert slots_of(saying, json.dumps(LIMIT).encode()) == [64]
    assert slots_of(saying, json.dumps(LEASE).encode()) == [UUID(ID)]
    saying.body = json.dumps(DATASET).encode()
    head = HubRepository("o/r", "main", "SOME_TOKEN").head()
    assert (head.commit, head.files) == ("a" * 40, ("README.md", "train.parquet"))


@FEW
@given(body=mutations_of(json.dumps(LIMIT).encode(), json.dumps(LEASE).encode()))
def test_damaged_words_of_prefect_are_a_limit_or_a_lease_or_refused(saying: Saying, body: bytes) -> None:
    for one in slots_of(saying, body):
        assert isinstance(one, UUID) or (isinstance(one, int) and one > 0)


@FEW
@given(body=mutations_of(json.dumps(DATASET).encode()))
def test_damaged_words_of_the_hub_tell_a_commit_and_files_or_are_refused(saying: Saying, body: bytes) -> None:
    saying.body = body
    try:
        head = HubRepository("o/r", "main", "SOME_TOKEN").head()
    except DestinationError as error:
        check_plain_message(error, "hf_a-token-of-ours", "\n")
        return
    assert all(isinstance(name, str) for name in head.files)
    assert head.commit not in ("", "None")


ODD = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3) | st.lists(st.integers())


@given(st.lists(st.tuples(st.sampled_from(["submitted", "draft", 7, None]), ODD, ODD), max_size=4))
def test_odd_ratings_of_argilla_are_numbers_of_a_person_or_none(given_ratings: list[tuple[Any, Any, Any]]) -> None:
    responses = [
        SimpleNamespace(status=status, user_id=str(number), question_name=name, value=value)
        for number, (status, *values) in enumerate(given_ratings)
        for name, value in zip(RATINGS, values, strict=True)
    ]
    record = SimpleNamespace(responses=responses, metadata=SimpleNamespace(to_dict=lambda: {"run": 1}))
    dataset = object.__new__(ArgillaDataset)
    dataset._client = SimpleNamespace(users=lambda id: None)
    for verdict in dataset._of(record, {}, range(11)):
        status, *values = given_ratings[int(verdict.person)]
        assert status == "submitted"
        assert tuple(values) == verdict.ratings
        assert all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        assert all(math.isfinite(rating) for rating in verdict.ratings)
