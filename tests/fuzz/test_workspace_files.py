"""Damaged files of a workspace: a run, its handles and its batches are reported, or left out, or refused."""

from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.cluster.call_batches import read_segments, write_segment
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.dispatch.batch.notes import BatchNote, BatchNotes
from kasasagi.blocks.ledger.store import LedgerEntry, LedgerError, row_of
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Run, Workspace, WorkspaceError
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.flows.labels.verdict_file import Labels
from kasasagi.tasks.publish.places.folder import as_manifest
from kasasagi.tasks.synthesize.config import PersonasUse
from kasasagi.tasks.synthesize.packs import SteeringError
from kasasagi.tasks.synthesize.personas import read_personas
from tests.fuzz.mutations import CHANGES, Change, changed, check_plain_message, mutations_of

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
        run.record_models(["small"])
        shards = {"responses": Shard(digest="d", rows=1)}
        for chunk in range(3):
            run.add(Handle(stage="respond", chunk=chunk, run="run-1", shards=shards, account=Account()), reused=False)
    file = run.folder / name
    whole = file.read_bytes()
    try:
        file.write_bytes(changed(whole, changes))
        workspace.runs()
        run.handles()
        run.recorded_models()
        run.recipe()
    except WorkspaceError as error:
        check_plain_message(error, "\n")
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


@FIXTURE
@given(CHANGES)
def test_a_damaged_segment_of_a_worker_is_read_right_or_refused(tmp_path: Path, changes: list[Change]) -> None:
    store, name = Store(str(tmp_path / "cluster")), "parcels/p/answers/s.parquet"
    completions = {digest(number): Completion(text=f"answer {number} 鵲", prompt_tokens=number) for number in range(30)}
    if store.read(name) is None:
        rows = [row_of(LedgerEntry(key, "m", completion), 1.0) for key, completion in completions.items()]
        write_segment(store, "parcels/p", "s", rows)
    whole = store.read(name)
    assert whole is not None
    store.write(name, changed(whole, changes))
    try:
        entries, passing = read_segments(store, [name])
        assert not passing
        assert all(completions[entry.key] == entry.completion for entry in entries)
    except LedgerError as error:
        check_plain_message(error, "\n")
    finally:
        store.write(name, whole)


@FIXTURE
@given(CHANGES)
def test_a_damaged_file_of_labels_keeps_the_lines_that_are_whole(tmp_path: Path, changes: list[Change]) -> None:
    workspace = Workspace(tmp_path / "labelled")
    workspace.prepare()
    labels = Labels(workspace)
    if not labels.known:
        for number in range(4):
            labels.add("run", f"p{number}", f"l{number}", f"r{number}", "left")
    whole = labels.file.read_bytes()
    labels.file.write_bytes(changed(whole, changes))
    found = Labels(workspace).known
    labels.file.write_bytes(whole)
    assert all(label.texts == texts for texts, label in found.items())


@FIXTURE
@given(st.sampled_from(("p.jsonl", "p.txt")), CHANGES)
@example("p.jsonl", [("put", 0.0, 0.0, b"[" * 100_000)])
def test_a_damaged_file_of_personas_is_read_or_refused(tmp_path: Path, name: str, changes: list[Change]) -> None:
    lines = '{"persona": "A nurse.", "language": "en"}\n{"persona": "漁師です。", "language": "ja"}\n'.encode()
    (tmp_path / name).write_bytes(changed(lines, changes))
    try:
        found = read_personas(PersonasUse(path=name), tmp_path, [])
        assert found
        assert all(persona.text.strip() for persona in found)
    except SteeringError as error:
        check_plain_message(error)


@given(mutations_of(b'{"kasasagi": "0.1", "files": {"train.parquet": {"sha256": "00"}}}'))
def test_a_damaged_manifest_is_one_or_none(content: bytes) -> None:
    found = as_manifest(content)
    assert found is None or isinstance(found["files"], dict)
