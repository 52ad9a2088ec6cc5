"""Our formats in the hands of those who load them: `make test-slow` installs each in a Python of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kasasagi.tasks.publish import PublishConfig, publish
from kasasagi.tasks.publish.formats import FORMATS
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import build_example_run
from tests.tasks.test_publish_formats import CHOSEN, CONVERSATIONS, ODD, REJECTED, assistant, conversations, published

pytestmark = [
    pytest.mark.consumers,
    pytest.mark.slow,
    pytest.mark.skipif("KASASAGI_CONSUMERS" not in os.environ, reason="make test-slow installs the consumers"),
]

ROOT = Path(__file__).parents[2]
HINA = ROOT / "models" / "hina" / "hf"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every conversation of the tests of the formats, published in all formats."""
    home = tmp_path_factory.mktemp("published")
    rows = conversations({**CONVERSATIONS, **ODD})
    published(build_example_run(home / "workspace", prompts=4), rows, home / "out", "trl", formats=list(FORMATS.ours))
    return home / "out"


def ours(folder: Path, name: str) -> list[dict[str, Any]]:
    text = (folder / name / "train.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def theirs(consumer: str, script: str, *arguments: Path) -> list[dict[str, Any]]:
    """What a script prints when the consumer's own Python runs it."""
    python = Path(os.environ["KASASAGI_CONSUMERS"]) / consumer / "bin" / "python"
    command = [str(python), str(Path(__file__).parent / script), *map(str, arguments)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("ROW ")]


def test_axolotl_renders_what_the_template_makes_of_the_whole_conversation(folder: Path) -> None:
    rows, made = ours(folder, "axolotl"), theirs("axolotl", "axolotl_loads.py", folder / "axolotl", HINA)
    assert len(made) == len(rows) > len(CONVERSATIONS)
    for row, one in zip(rows, made, strict=True):
        prompt = "<s>" + "".join(f"<|{turn['role']}|>{turn['content']}<|end|>" for turn in row["messages"])
        assert one["prompt"] == f"{prompt}<|assistant|>"
        assert one["chosen"] == f"{CHOSEN.strip()}<|end|>"
        assert one["rejected"] == f"{REJECTED}<|end|>"


def test_llama_factory_takes_every_row_with_its_turns_and_system_message(folder: Path) -> None:
    rows = ours(folder, "llama_factory")
    made = theirs("llama_factory", "llama_factory_loads.py", folder / "llama_factory")
    assert len(made) == len(rows) >= len(CONVERSATIONS)
    for row, one in zip(rows, made, strict=True):
        names = {"human": "user", "gpt": "assistant"}
        turns = [{"role": names[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
        assert one["_prompt"] == turns
        assert [turn["content"] for turn in one["_response"]] == [CHOSEN, REJECTED]
        assert one["_system"] == row["system"]


def test_distilabels_own_step_makes_of_our_generations_the_pairs_that_we_publish(tmp_path: Path) -> None:
    run = build_example_run(tmp_path / "workspace", prompts=12)
    with open_tables(run) as connection:
        publish(PublishConfig(formats=("trl", "distilabel")), run, connection, tmp_path / "out")
    rows = ours(tmp_path / "out", "distilabel")
    made = theirs("distilabel", "distilabel_gives.py", tmp_path / "out" / "distilabel")
    assert len(made) > 5
    assert [{name: row[name] for name in one} for row, one in zip(rows, made, strict=True)] == made


def checked(folder: Path, lines: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """What Together's check says of files with these lines, by their names."""
    folder.mkdir()
    for name, some in lines.items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in some)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return {made["name"]: made for made in theirs("together", "together_checks.py", folder)}


def test_together_takes_the_file_that_we_publish_for_one_of_preferences(folder: Path) -> None:
    [made] = theirs("together", "together_checks.py", folder / "openai_preference")
    assert (made["is_check_passed"], made["message"]) == (True, "Checks passed")
    assert made["formats"] == ["preference_openai"]
    assert made["num_samples"] == len(ours(folder, "openai_preference")) > len(CONVERSATIONS)


def test_together_refuses_a_file_for_one_broken_row(folder: Path, tmp_path: Path) -> None:
    rows = ours(folder, "openai_preference")
    good = rows[-1]
    broken = {
        "another_column": good | {"prompt_id": "x"},
        "no_rejected": {name: good[name] for name in ("input", "preferred_output")},
        "two_answers": good | {"preferred_output": [assistant("One."), assistant("Two.")]},
        "answer_of_the_user": good | {"non_preferred_output": [{"role": "user", "content": "No."}]},
        "plain_text": good | {"preferred_output": "No."},
        "answered_already": good | {"input": {"messages": [*good["input"]["messages"], assistant("Yes.")]}},
    }
    made = checked(tmp_path / "broken", {name: [*rows, row] for name, row in broken.items()})
    assert {name: one["is_check_passed"] for name, one in made.items()} == dict.fromkeys(broken, False)
    assert {one["line_number"] for one in made.values()} == {len(rows) + 1}


def test_a_prompt_that_together_refuses_is_not_published(tmp_path: Path) -> None:
    prompts = {**CONVERSATIONS, **ODD, "developer": [{"role": "developer", "content": "x"}, *CONVERSATIONS["single"]]}
    form = FORMATS.find("openai_preference", Path())
    rows = {
        name: {"prompt": turns, "chosen": [assistant("a")], "rejected": [assistant("b")]}
        for name, turns in prompts.items()
    }
    lines = {name: form.convert(pa.Table.from_pylist([row])).to_pylist() for name, row in rows.items()}
    made = checked(tmp_path / "prompts", lines)
    refused = {name for name, one in made.items() if not one["is_check_passed"]}
    assert refused >= {"open_answer", "function", "developer"}
    assert form.refuses is not None
    assert all(form.refuses(rows[name]) for name in refused)
