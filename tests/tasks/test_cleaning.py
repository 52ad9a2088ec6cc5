"""Instructions of several lines: never cut, trimmed at their ends alone, and not stopped at line breaks."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.tasks.synthesize.cleaning import instruction_of
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.draws import draws_for
from kasasagi.tasks.synthesize.steering import Steering
from tests.tasks.helpers import model, session

WHOLE = [
    "Can you help me? I have a list of names and need them sorted:\n\n- Mia\n- Leo\n- Aya",
    "Sum up this table.\n\n| month | rain |\n| --- | ---: |\n| May | 40 |\n| June | 12 |",
    "What does this print?\n\n```python\nfor n in range(3):\n    print(n)\n```",
    "Translate these words into Japanese:\nteacher\nassistant",
    "Explain this chat template:\n<|im_start|>user\nHello<|im_end|>\nWhat does each line do?",
    "User: hello\nAssistant: hello\n\nContinue the dialogue.",
    "次の文章を要約してください。\n\n　むかし、山に小さな駅がありました。\n駅には猫が一匹いました。",
    "次の表から、いちばん安い品を選んでください。\n| 品 | 値段 |\n| りんご | 120円 |",
    "What do tokenizers mean by <|im_end|>",
    "    indented = True\nWhat is wrong with this line?",
]


@pytest.mark.parametrize("task", WHOLE)
def test_a_legitimate_task_stays_whole(task: str) -> None:
    assert instruction_of(f"\n \n{task}\n\n", multi_line=True) == task
    assert instruction_of(task.replace("\n", "\r\n"), multi_line=True) == task


@pytest.mark.parametrize(
    "ending", ["<|im_end|>", "<|im_end|>\n<|im_start|>assistant\n", "</s>", " <|eot_id|>", "<end_of_turn>\n", "[/INST]"]
)
def test_an_end_of_turn_behind_the_last_word_goes(ending: str) -> None:
    assert instruction_of(f" {WHOLE[1]}{ending}", multi_line=True) == WHOLE[1]


def test_one_line_is_trimmed_as_ever() -> None:
    assert instruction_of(" Why?<|im_end|> \n", multi_line=False) == "Why?<|im_end|>"


@given(st.text())
def test_cleaning_cleans_once_and_leaves_something(text: str) -> None:
    once = instruction_of(text, multi_line=True)
    assert instruction_of(once, multi_line=True) == once
    assert bool(once.strip()) == bool(text.strip())


def source(**fields: Any) -> MagpieSource:
    base = {"kind": "magpie", "model": "small", "template": "<user>", "samples": 3, "multi_line": True}
    return MagpieSource.model_validate({**base, **fields})


def test_line_breaks_end_no_instruction_of_several_lines(tmp_path: Path) -> None:
    one = session(tmp_path, models={"small": model("small", sampling={"stop": ["\n", "<end>"]})})
    [draw] = draws_for(one, Steering.read(source(sampling={"max_tokens": 9}), tmp_path), 0, 1)
    assert draw.question.request["stop"] == ["<end>"]
    plain = session(tmp_path / "plain")
    [draw] = draws_for(plain, Steering.read(source(), tmp_path), 0, 1)
    assert "stop" not in draw.question.request
    with pytest.raises(ValidationError, match="multi_line"):
        source(sampling={"stop": ["\n\n"]})


def test_an_instruction_of_several_lines_need_not_end_as_a_sentence() -> None:
    assert source().default_rules == ("finished", {"min_chars": 10}, "template_leak")
    assert source(multi_line=False).default_rules[2:] == ("ends_as_a_sentence", "template_leak")
