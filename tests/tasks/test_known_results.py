"""Reports and audits on rows that an earlier run had already."""

from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks import reports
from kasasagi.tasks.reports import keep_reports, known_shortcuts
from kasasagi.tasks.reports.known_shortcuts import shortcuts_of
from kasasagi.tasks.reports.shortcut import FEWEST
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.known_results import KnownResults
from kasasagi.tasks.tables.run_tables import tables_of


def run_of(workspace: Workspace, name: str, last: str = "Certainly! yes", pairs: int = FEWEST + 10) -> Run:
    """A run with pairs, one rated response each, of which the last one says something else."""
    workspace.prepare()
    run = Run.begin(workspace, name, "job", {"models": {"small": {"kind": "openai"}}})
    texts = {"c": ["Certainly! yes"] * (pairs - 1) + [last], "r": ["no"] * pairs}
    rows: dict[str, list[dict[str, Any]]] = {
        "responses": [
            {"response_id": f"{side}{n}", "prompt_id": f"p{n}", "model": "small", "content": text}
            for side, some in texts.items()
            for n, text in enumerate(some)
        ],
        "pairs": [{"prompt_id": f"p{n}", "chosen_id": f"c{n}", "rejected_id": f"r{n}"} for n in range(pairs)],
        "ratings": [
            {"response_id": f"c{n}", "prompt_id": f"p{n}", "judge": "critic", "aspect": "all", "rating": 3.0}
            for n in range(pairs)
        ],
    }
    shards = {of: run.workspace.shards.write(table(of, some)) for of, some in rows.items()}
    run.add(Handle(stage="format_dpo", run=name, shards=shards, account=Account(rows_in=1)), reused=False)
    return run


def figures(run: Run) -> list[dict[str, Any]]:
    keep_reports(run)
    [shard] = [one.handle.shards["rating_histogram"] for one in run.handles() if one.handle.stage == "report"]
    return run.workspace.shards.read(shard).to_pylist()


def audited(run: Run) -> Any:
    with tables_of(run, run.handles()) as tables:
        return shortcuts_of(run, tables)


def refuse(*_: object) -> None:
    raise AssertionError("it is worked out")


def test_reports_on_the_same_rows_are_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path)
    first = figures(run_of(workspace, "one"))
    assert first
    monkeypatch.setattr(reports, "tables_of", refuse)
    assert figures(run_of(workspace, "two")) == first


def test_reports_whose_shard_is_gone_are_made_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = figures(run_of(workspace, "one"))
    for file in (tmp_path / "shards").rglob("*.parquet"):
        file.unlink()
    assert figures(run_of(workspace, "two")) == first


def test_reports_on_other_rows_are_made(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert figures(run_of(workspace, "one")) != figures(run_of(workspace, "two", pairs=FEWEST))


def test_an_audit_of_the_same_pairs_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path)
    first = audited(run_of(workspace, "one"))
    assert first.telling
    monkeypatch.setattr(known_shortcuts, "audit_shortcuts", refuse)
    assert audited(run_of(workspace, "two")) == first
    with pytest.raises(AssertionError, match="worked out"):
        audited(run_of(workspace, "three", last="something else"))


def test_an_audit_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = audited(run_of(workspace, "one"))
    for content in (b"[1]", b"{"):
        for file in workspace.report_results_folder.iterdir():
            file.write_bytes(content)
        assert audited(run_of(workspace, content.hex())) == first


def test_a_workspace_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    known = KnownResults(tmp_path / "file")
    known.keep("key", {"a": 1})
    assert known.find("key") is None
