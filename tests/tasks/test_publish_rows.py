"""A format that has not one row for each pair: a publication says of each number whether it counts rows or pairs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kasasagi.flows.cli.app import app
from tests.run_example import build_example_run

RUN = "20260101-000000-example"


def publish(folder: Path, formats: str) -> tuple[str, str, dict[str, object]]:
    """Publish nine pairs; gives what the command prints, the first paragraph of the card, and the manifest."""
    build_example_run(folder / "workspace", prompts=12)
    words = ["publish", "--path", str(folder / "out"), "--set", f"publish.formats=[{formats}]"]
    result = CliRunner().invoke(app, [*words, "-w", str(folder / "workspace")])
    assert result.exception is None, result.exception
    card = (folder / "out" / "README.md").read_text(encoding="utf-8")
    introduction = card.split("# two-models-one-judge\n\n")[1].split("\n\n")[0]
    return result.output, introduction, json.loads((folder / "out" / "manifest.json").read_bytes())


def test_rows_of_kto_are_told_from_the_pairs_that_they_are_made_of(tmp_path: Path) -> None:
    printed, introduction, manifest = publish(tmp_path, "kto")
    rows = len((tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8").splitlines())
    assert rows == 18
    assert printed == f"18 rows (kto) from 9 pairs of the run {RUN} in {tmp_path / 'out'}\n"
    assert introduction.startswith("18 rows in the format kto, made of 9 preference pairs from 12 prompts")
    assert (manifest["rows"], manifest["rows_by_format"]) == (9, {"kto": 18})


def test_a_further_format_says_its_own_number_of_rows(tmp_path: Path) -> None:
    printed, introduction, _ = publish(tmp_path, "trl, kto")
    assert printed == f"9 rows (trl) and 18 rows (kto) from 9 pairs of the run {RUN} in {tmp_path / 'out'}\n"
    assert introduction.startswith("9 preference pairs for DPO from 12 prompts")
    assert "In the format kto they are 18 rows." in introduction


@pytest.mark.parametrize(
    ("formats", "contents"),
    [
        ("trl", "9 pairs"),
        ("sft", "9 rows (sft) from 9 pairs"),
        ("trl, llama_factory", "9 rows (trl) and 9 rows (llama_factory) from 9 pairs"),
    ],
)
def test_a_row_for_each_pair_is_counted_once(tmp_path: Path, formats: str, contents: str) -> None:
    printed, introduction, manifest = publish(tmp_path, formats)
    assert printed == f"{contents} of the run {RUN} in {tmp_path / 'out'}\n"
    assert introduction.startswith("9 preference pairs for DPO from 12 prompts")
    assert "rows" not in introduction
    assert "rows_by_format" not in manifest
