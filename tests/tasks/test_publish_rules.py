"""Rules that consumers of a format document, checked on what we publish: nothing they would refuse, nothing lost."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish.formats import FORMATS
from tests.run_example import build_example_run
from tests.tasks.test_publish_formats import CHOSEN, CONVERSATIONS, ODD, REJECTED, conversations, published


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build_example_run(tmp_path_factory.mktemp("workspace"), prompts=4)


def lines(target: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (target / "train.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", FORMATS.ours)
def test_system_messages_and_earlier_turns_survive_in_every_format(run: Run, tmp_path: Path, name: str) -> None:
    turns = CONVERSATIONS["turns"]
    published(run, conversations({"turns": turns}), tmp_path / "out", name)
    rows = lines(tmp_path / "out")
    assert len(rows) == (2 if name in ("kto", "generations") else 1)
    for row in rows:
        text = json.dumps(row, ensure_ascii=False)
        places = [text.find(json.dumps(turn["content"], ensure_ascii=False)[1:-1]) for turn in turns]
        assert -1 not in places
    whole = json.dumps(rows, ensure_ascii=False)
    assert json.dumps(CHOSEN.strip(), ensure_ascii=False)[1:-1] in whole
    assert (REJECTED in whole) == (name != "sft")


def openai_fault(line: Mapping[str, Any]) -> str | None:
    """Why the line breaks a rule of OpenAI's or Azure's guide to direct preference optimisation.

    https://developers.openai.com/api/docs/guides/direct-preference-optimization and Microsoft's page of the same name:
    three fields; messages with a role and text alone; outputs of assistant messages, exactly one each.
    """
    messages, outputs = line["input"]["messages"], [line["preferred_output"], line["non_preferred_output"]]
    turns = [*messages, *outputs[0], *outputs[1]]
    kept = {
        "fields": set(line) == {"input", "preferred_output", "non_preferred_output"},
        "input": {"messages"} <= set(line["input"]) <= {"messages", "tools", "parallel_tool_calls"},
        "output": all([turn["role"] for turn in output] == ["assistant"] for output in outputs),
        "message": all(set(turn) == {"role", "content"} and isinstance(turn["content"], str) for turn in turns),
        "role": all(turn["role"] in ("system", "developer", "user", "assistant") for turn in turns),
        "question": messages[-1]["role"] == "user",
    }
    return next((rule for rule, holds in kept.items() if not holds), None)


def test_no_line_breaks_a_rule_of_openais(run: Run, tmp_path: Path) -> None:
    published(run, conversations({**CONVERSATIONS, **ODD}), tmp_path / "out", "openai_preference")
    rows = lines(tmp_path / "out")
    assert [openai_fault(row) for row in rows] == [None] * len(rows)
    assert len(rows) == len(CONVERSATIONS) + 3
    assert openai_fault({**rows[0], "prompt_id": "x"}) == "fields"
    assert openai_fault({**rows[0], "preferred_output": []}) == "output"


@pytest.mark.parametrize("answer", ["", "  \n", "m", "dummy", "message", "[[dummy_message]]", "e]"])
def test_an_answer_that_axolotl_would_find_too_early_is_refused(answer: str) -> None:
    refuses = FORMATS.find("axolotl", Path()).refuses
    assert refuses is not None
    sides = {"chosen": [{"content": "Water boils."}], "rejected": [{"content": f" {answer}"}]}
    assert refuses({"prompt": CONVERSATIONS["single"], **sides}) == "hidden_in_the_template"
    sides["rejected"] = [{"content": f"{answer}!"}]
    assert refuses({"prompt": CONVERSATIONS["single"], **sides}) is None
