"""Content as servers send it: texts, parts, thinking in fields of its own, refusals, and what is none of these."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.endpoints.openai import read_reply


def reply(message: dict[str, Any], **choice: Any) -> bytes:
    choices = [{"message": {"role": "assistant", **message}, "finish_reason": "stop", **choice}]
    return json.dumps({"choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 5}}).encode()


@pytest.mark.parametrize(
    ("message", "text", "thinking"),
    [
        ({"content": "Yes."}, "Yes.", None),
        ({"content": None}, "", None),
        ({"content": [{"type": "text", "text": "Yes"}, {"type": "text", "text": "."}]}, "Yes.", None),
        ({"content": [{"type": "output_text", "text": "Yes.", "annotations": []}]}, "Yes.", None),
        ({"content": {"type": "text", "text": "Yes."}}, "Yes.", None),
        ({"content": ["Yes", "."]}, "Yes.", None),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                    {"type": "text", "text": "A"},
                ]
            },
            "A",
            "Hm",
        ),
        (
            {"content": [{"type": "thinking", "thinking": "Hm", "signature": "x"}, {"type": "text", "text": "A"}]},
            "A",
            "Hm",
        ),
        ({"content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "A"}]}, "A", None),
        ({"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}, "A"]}, "A", "Hm"),
        ({"content": "A", "reasoning": "Hm"}, "A", "Hm"),
        ({"content": "A", "reasoning_content": "Hm"}, "A", "Hm"),
        ({"content": "A", "thinking": "Hm"}, "A", "Hm"),
        (
            {"content": "A", "reasoning": "Hm", "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]},
            "A",
            "Hm",
        ),
        ({"content": "A", "reasoning": "", "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]}, "A", "Hm"),
        ({"content": "A", "reasoning": None}, "A", None),
        ({"content": "A", "refusal": None}, "A", None),
        ({"content": [{"text": "Hm", "thought": True}, {"text": "A"}]}, "A", "Hm"),
        ({"content": [{"type": "text", "text": "Hm", "thought": True}, {"type": "text", "text": "A"}]}, "A", "Hm"),
        ({"content": {"parts": [{"text": "Hm", "thought": True}, {"text": "A", "thoughtSignature": "x"}]}}, "A", "Hm"),
        ({"content": [{"thinking": "Hm"}, {"type": "text", "text": "A"}]}, "A", "Hm"),
        ({"content": [{"thought": "Hm"}, {"reasoning": "Well"}, {"content": "A"}]}, "A", "Hm\n\nWell"),
        ({"content": [{"type": "text", "text": {"value": "A", "annotations": []}}]}, "A", None),
        ({"content": [{"type": "text"}, {"type": "text", "text": None}, {"text": "A"}]}, "A", None),
    ],
)
def test_text_and_thinking_are_read(message: dict[str, Any], text: str, thinking: str | None) -> None:
    found = read_reply(reply(message))
    assert (found.text, found.reasoning, found.error) == (text, thinking, None)


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        ({"content": [{"type": "image_url", "image_url": {"url": "data:"}}]}, "unknown_content", "'image_url'"),
        ({"content": [{"type": "text", "text": "see"}, {"type": "audio"}]}, "unknown_content", "'audio'"),
        ({"content": [{"functionCall": {"name": "mul", "args": {}}}]}, "unknown_content", "'functionCall'"),
        ({"content": [{"type": "text", "text": {"runs": ["A"]}}]}, "unknown_content", "'runs'"),
        ({"content": [{"type": "text", "thinking": "Hm"}]}, "unknown_content", "'thinking'"),
        ({"content": ["A", 5]}, "unknown_content", "int"),
        ({"content": None, "refusal": "I'm sorry, no."}, "refusal", "I'm sorry, no."),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "refusal", "No."),
        ({"content": "broken \ud83d"}, "lone_surrogate", "half a character"),
        ({"content": "fine", "reasoning": "broken \ud83d"}, "lone_surrogate", "half a character"),
    ],
)
def test_what_is_no_answer_is_a_lasting_reason_with_its_tokens(message: dict[str, Any], error: str, words: str) -> None:
    found = read_reply(reply(message))
    assert (found.error, found.transient, found.text) == (error, False, "")
    assert words in str(found.detail)
    assert (found.prompt_tokens, found.completion_tokens) == (3, 5)


def test_a_reply_without_choices_counts_its_tokens_and_is_tried_again() -> None:
    found = read_reply(b'{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 0}}')
    assert (found.error, found.transient, found.prompt_tokens) == ("malformed_reply", True, 7)


WORDS = st.text(alphabet="ab 鵲.", min_size=1).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "thinking"]), inner),
    max_leaves=8,
)


@given(JSON, JSON)
def test_no_content_raises(content: Any, reasoning: Any) -> None:
    found = read_reply(reply({"content": content, "reasoning": reasoning}))
    assert found.error or isinstance(found.text, str)


@given(st.lists(st.tuples(st.sampled_from(["text", "content", "thinking", "reasoning"]), WORDS), min_size=1))
def test_a_part_without_type_is_what_its_key_says(parts: list[tuple[str, str]]) -> None:
    found = read_reply(reply({"content": [{key: text} for key, text in parts]}))
    assert found.text == "".join(text for key, text in parts if key in ("text", "content"))
    thoughts = [text for key, text in parts if key not in ("text", "content")]
    assert found.reasoning == ("\n\n".join(thoughts) or None)


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8")), min_size=1))
def test_parts_of_text_are_joined(texts: list[str]) -> None:
    assert read_reply(reply({"content": [{"type": "text", "text": one} for one in texts]})).text == "".join(texts)
