"""Damaged files of a workspace: a run, its handles and its batches are told as they are, or left out, or refused."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.batch_notes import BatchNote, BatchNotes
from blocks.shards import Account, Handle, Shard
from blocks.workspace import Run, Workspace, WorkspaceError
from tests.fuzz.mutations import CHANGES, Change, changed, said_plainly

FIXTURE = settings(
    max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FIXTURE
@given(st.sampled_from(("run.json", "handles.jsonl", "models.json", "recipe.json")), CHANGES)
def test_a_damaged_run_is_read_or_refused_in_one_sentence(tmp_path: Path, name: str, changes: list[Change]) -> None:
    workspace = Workspace(tmp_path / "ws")
    run = Run(workspace, "run-1")
    if not run.folder.exists():
        Run.begin(workspace, "run-1", "job", {"name": "job"})
        run.note_models(["small"])
        shards = {"responses": Shard(digest="d", rows=1)}
        for chunk in range(3):
            run.add(Handle(stage="respond", chunk=chunk, run="run-1", shards=shards, account=Account()), reused=False)
    file = run.folder / name
    whole = file.read_bytes()
    try:
        file.write_bytes(changed(whole, changes))
        workspace.runs()
        run.handles()
        run.noted_models()
        run.recipe()
    except WorkspaceError as error:
        said_plainly(error, "\n")
    finally:
        file.write_bytes(whole)


@FIXTURE
@given(CHANGES)
def test_a_damaged_note_of_a_batch_is_left_out(tmp_path: Path, changes: list[Change]) -> None:
    notes = BatchNotes(tmp_path / "batches")
    if not notes.all():
        notes.begin("http://a/v1", "m", None, "/v1/chat/completions", [("0" * 32, b"{}\n"), ("1" * 32, b"{}\n")])
    (file,) = notes.folder.glob("*.json")
    whole = file.read_bytes()
    file.write_bytes(changed(whole, changes))
    found = notes.all()
    file.write_bytes(whole)
    assert all(isinstance(note, BatchNote) for note in found)
