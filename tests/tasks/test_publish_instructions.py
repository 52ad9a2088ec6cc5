"""A run in which nobody answers publishes its instructions: in the order of their draws, as UTF-8, with a card."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.publish import PublishConfig, Published, PublishError, publish
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import tables_of
from tests.tasks.helpers import prompt

RECIPE = {"name": "instructions", "source": {"kind": "magpie", "model": "writer"}, "models": {}}


def made(folder: Path, rows: list[dict[str, Any]], recipe: dict[str, Any] | None = None) -> Run:
    workspace = Workspace(folder / "ws")
    workspace.prepare()
    run = Run.begin(workspace, f"run{len(list(workspace.runs_folder.iterdir()))}", "instructions", recipe or RECIPE)
    pack = table("prompts", rows)
    pack = pack.append_column("pack", [["code"] * len(rows)])
    shards = {"prompts": workspace.shards.write(pack)}
    account = Account(rows_in=len(rows), rows_out=len(rows))
    run.add(Handle(stage="filter", run=run.id, shards=shards, account=account), reused=False)
    return run


def published(run: Run, target: Path, **config: Any) -> Published:
    with tables_of(run, run.handles()) as connection:
        return publish(PublishConfig(path=str(target), **config), run, connection, target)


TEXTS = ["富士山の高さを教えてください。", "Add 2 and 3.\n\n| a | b |", 'What is "Go"?']


def rows() -> list[dict[str, Any]]:
    return [prompt(text, position=position, source="magpie") for position, text in enumerate(TEXTS)]


def test_instructions_lie_in_the_order_of_their_draws(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = published(made(tmp_path, list(reversed(rows()))), out, license="cc0-1.0")
    lines = (out / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert TEXTS[0] in lines[0]
    found = [json.loads(line) for line in lines]
    assert [row["instruction"] for row in found] == TEXTS
    assert [list(row) for row in found] == [["messages", "instruction", "prompt_id", "pack"]] * 3
    assert [row["messages"] for row in found] == [[{"role": "user", "content": text}] for text in TEXTS]
    assert load_from_disk(str(out / "dataset"))["instruction"][:] == TEXTS
    assert (done.rows, done.path) == (3, out)


def test_the_card_tells_what_it_is_and_the_manifest_what_lies_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    published(made(tmp_path, rows()), out, license="cc0-1.0")
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "license: cc0-1.0" in card
    assert "3 instructions without answers" in card
    assert "preference" not in card
    manifest = json.loads((out / "manifest.json").read_text())
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == files - {"manifest.json"}
    assert manifest["rows"] == 3


def test_equal_rows_give_equal_files_and_take_the_earlier_ones_place(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = published(made(tmp_path, rows()), out)
    kept = (out / "train.parquet").read_bytes()
    second = published(made(tmp_path, list(reversed(rows()))), out)
    assert (first.digest, kept) == (second.digest, (out / "train.parquet").read_bytes())
    third = published(made(tmp_path, rows()[:2]), out)
    assert (third.rows, third.digest == first.digest) == (2, False)


def test_many_instructions_are_all_there_once(tmp_path: Path) -> None:
    many = [prompt(f"What is number {n}?", position=7 * n) for n in range(3000)]
    out = tmp_path / "out"
    published(made(tmp_path, many), out)
    found = [json.loads(line)["instruction"] for line in (out / "train.jsonl").open(encoding="utf-8")]
    assert found == [row["instruction"] for row in many]


def test_no_instructions_are_not_published(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="no instructions"):
        published(made(tmp_path, []), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("more", "product"), [({}, "responses"), ({"judge": {"model": "critic"}}, "pairs")])
def test_a_run_with_answers_publishes_no_instructions(tmp_path: Path, more: dict[str, Any], product: str) -> None:
    with pytest.raises(PublishError, match=f"has no {product}"):
        published(made(tmp_path, rows(), {**RECIPE, "respond": {"models": ["a"]}, **more}), tmp_path / "out")
