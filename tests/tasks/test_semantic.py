"""Comparison by meaning: vectors come in and are kept, and the nearest neighbours are the true ones."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.embeddings import pack, read_embedding, unpack
from kasasagi.blocks.models.llm import Completion
from kasasagi.tasks.asking import Answered
from kasasagi.tasks.semantic.embed import sort_vectors
from kasasagi.tasks.semantic.neighbors import neighbors
from tests.tasks.helpers import prompt


def reply(embedding: Any, **usage: Any) -> bytes:
    return orjson.dumps({"data": [{"index": 0, "embedding": embedding}], "usage": usage})


@pytest.mark.parametrize("written", [[0.5, -2.0, 0.0], pack([0.5, -2.0, 0.0])])
def test_a_vector_is_read_as_numbers_and_as_base64(written: Any) -> None:
    completion = read_embedding(reply(written, prompt_tokens=7))
    assert unpack(completion.text).tolist() == [0.5, -2.0, 0.0]
    assert (completion.prompt_tokens, completion.error) == (7, None)


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b'{"data": []}', reply([]), reply([None]), reply([[1.0]]), reply("?"), reply(["x"])]
)
def test_a_reply_without_a_vector_may_pass(body: bytes) -> None:
    completion = read_embedding(body)
    assert (completion.error, completion.transient) == ("malformed_reply", True)


def answered(completion: Completion) -> Answered:
    return Answered(Question("embedder", "k", {"input": "x"}), completion, False)


def test_vectors_get_length_one_and_what_has_none_is_set_aside() -> None:
    prompts = [prompt(text) for text in ("a", "b", "c")]
    completions = [
        Completion(text=pack([3.0, 4.0])),
        Completion(text=pack([0.0, 0.0])),
        Completion(error="context_too_long"),
    ]
    result = sort_vectors(prompts, [answered(one) for one in completions])
    (row,) = result.tables["vectors"].to_pylist()
    assert np.frombuffer(row["vector"], "<f4").tolist() == pytest.approx([0.6, 0.8])
    assert [one["reason"] for one in result.rows["quarantine"]] == ["no_direction", "context_too_long"]
    assert (result.rows_in, result.rows_out) == (3, 1)


def unit(rows: int, seed: int, kinds: int = 6) -> Any:
    """Unit vectors among which some are near each other."""
    randomness = np.random.default_rng(seed)
    centres = randomness.normal(size=(kinds, 5))
    vectors = centres[randomness.integers(kinds, size=rows)] + randomness.normal(scale=0.2, size=(rows, 5))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def one_by_one(vectors: Any, duplicates: float) -> tuple[list[int], list[int]]:
    """The nearest row of each, and the survivor that each repeats, the plain way."""
    alike = np.round(vectors @ vectors.T, 5)
    np.fill_diagonal(alike, -np.inf)
    nearest = [int(row.argmax()) if len(row) > 1 else -1 for row in alike]
    survivors: list[int] = []
    repeats = []
    for at in range(len(vectors)):
        found = next((one for one in survivors if alike[one, at] >= np.float32(duplicates)), -1)
        repeats.append(found)
        survivors += [at] if found < 0 else []
    return nearest, repeats


@given(st.integers(0, 40), st.integers(0, 10_000), st.integers(1, 50), st.floats(0.5, 1.0))
def test_blocks_find_what_comparing_one_by_one_finds(rows: int, seed: int, block: int, duplicates: float) -> None:
    vectors = unit(rows, seed)
    found = neighbors(vectors, duplicates, block)
    nearest, repeats = one_by_one(vectors, duplicates)
    assert found.survivor.tolist() == repeats
    alike = np.round(vectors @ vectors.T, 5)
    for at, (ours, theirs) in enumerate(zip(found.nearest.tolist(), nearest, strict=True)):
        assert ours == theirs or abs(alike[at, ours] - alike[at, theirs]) < 2e-5  # additions may differ by a bit


def test_a_chain_keeps_what_is_like_a_duplicate_alone() -> None:
    angles = np.radians([0.0, 20.0, 40.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = neighbors(vectors, float(np.cos(np.radians(25))), block=2)
    assert found.survivor.tolist() == [-1, 0, -1]
    assert found.nearest.tolist() == [1, 0, 1]


def test_without_a_threshold_nobody_repeats_anybody() -> None:
    found = neighbors(unit(10, 1, kinds=1), None)
    assert set(found.survivor.tolist()) == {-1}
    assert -1 not in found.nearest.tolist()
