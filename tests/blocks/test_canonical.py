"""Canonical JSON and ids: equal values give equal digests, others other ones, and what cannot be written is refused."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.canonical import (
    NotCanonicalError,
    canonical,
    digest,
    digest_bytes,
    digest_file,
    draw_id,
    ledger_key,
    prompt_id,
    response_id,
)

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(entry) for entry in value] if isinstance(value, list) else value


@given(PLAIN)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert canonical(value) == canonical(reordered(value))


@given(PLAIN, PLAIN)
def test_different_json_gives_different_digests(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (canonical(one) == canonical(other))


def test_it_is_utf8_without_blanks_or_escapes() -> None:
    assert canonical({"鵲": ["é\u2028", 1.0, None], "a": 1}) == '{"a":1,"鵲":["é\u2028",1.0,null]}'.encode()


def test_unicode_forms_are_not_unified() -> None:
    assert digest("é") != digest("e\u0301")


def test_one_and_one_point_zero_and_true_differ() -> None:
    assert len({digest(value) for value in (1, 1.0, True, "1")}) == 4


@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        {"\udfff": 1},
        2**64,
        {1: "a"},
        {"a": {"b": object()}},
        math.nan,
        [math.inf],
        {"a": [-math.inf]},
        (0.5, {"deep": math.nan}),
        b"bytes",
    ],
)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonicalError, match="cannot be written as JSON"):
        digest(value)


def test_bottomless_nesting_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(NotCanonicalError):
        canonical(value)


def test_digests_are_32_hexadecimal_digits_and_stay_for_ever() -> None:
    assert digest({}) == "2afb9b83f9314e5d029766197f539792"
    assert digest({"a": [1, 2.5, "鵲"]}) == "6d1891c4d391b7232382144d0a1bde54"
    assert prompt_id([{"role": "user", "content": "鵲?"}]) == "22d93279b1bbcbc3a5568d3864fa8f5d"
    assert ledger_key("m", {"prompt": "x"}, 0) == "eebffa5ec02762c081f787d5741647c0"


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    assert digest_file(file) == digest_bytes(b"x" * 3_000_000)


def test_a_prompt_is_known_by_its_messages_alone() -> None:
    plain = [{"role": "user", "content": "鵲?"}]
    assert prompt_id(plain) == prompt_id([{"name": "x", "content": "鵲?", "role": "user"}])
    assert prompt_id(plain) != prompt_id([{"role": "system", "content": "鵲?"}])
    assert prompt_id(plain) != prompt_id([*plain, *plain])


@given(TEXT, TEXT)
def test_texts_cannot_run_into_each_other(one: str, other: str) -> None:
    if one and other:
        assert response_id(one + other, "m", 0, "") != response_id(one, "m", 0, other)
        assert draw_id(one, other, "") != draw_id("", one, other)


def test_a_key_tells_model_request_draw_and_round_apart() -> None:
    request = {"messages": [{"role": "user", "content": "a"}], "temperature": 0.5}
    keys = {
        ledger_key("m", request, 0),
        ledger_key("m@r1", request, 0),
        ledger_key("m", {**request, "temperature": 0.6}, 0),
        ledger_key("m", request, 1),
        ledger_key("m", request, 0, 1),
        ledger_key("m", request, 1, 1),
    }
    assert len(keys) == 6
    assert ledger_key("m", dict(reversed(request.items())), 0) in keys
    assert ledger_key("m", request, 0, 0) in keys
