"""What every request of a stage to a model carries, whatever serves it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from kasasagi.blocks.models.kinds import ModelConfig, Sampling
from kasasagi.tasks.parsing import request_body
from tests.tasks.helpers import session

EXTRA = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.mark.parametrize(
    ("fields", "extra"),
    [
        ({"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "extra_body": EXTRA}, EXTRA),
        ({"kind": "vllm", "model": "some/model", "extra_body": EXTRA}, EXTRA),
        ({"kind": "bundled"}, {}),
    ],
)
def test_further_fields_are_sent_to_a_model_of_any_kind(
    tmp_path: Path, fields: dict[str, Any], extra: dict[str, Any]
) -> None:
    adapter: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
    model = adapter.validate_python({**fields, "sampling": {"top_p": 0.5}})
    one = replace(session(tmp_path), models={"m": model})
    assert request_body(one, "m", Sampling(temperature=0.25)) == {"temperature": 0.25, "top_p": 0.5, **extra}
