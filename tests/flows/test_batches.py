"""`kasasagi ledger batches`: what waits is listed, and what is cancelled keeps what it answered."""

import threading
from contextlib import suppress
from pathlib import Path

import click
import pytest
import typer

from kasasagi.blocks.dispatch.batch.notes import FOLDER, BatchNote, BatchNotes
from kasasagi.blocks.dispatch.dispatcher import Dispatcher, StoppedError
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.cli.batches import batches
from kasasagi.flows.errors import KasasagiError, UsageError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe
from kasasagi.flows.run.lifecycle import session_of
from kasasagi.flows.run.options import Options
from kasasagi.flows.upkeep.batches import cancel, find_batch, waiting_batches
from tests.blocks.helpers import dispatching, kept, model, questions, until
from tests.fake_server import FakeServer


def test_a_batch_that_waits_is_listed_cancelled_and_what_it_answered_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, context = Workspace(tmp_path), typer.Context(click.Command("batches"))
    with FakeServer(batch_s=3600, batch_share=0.5, batch_ending="cancelled") as server:
        small = model(server, batch={"gather_s": 0, "poll_s": 0.02})
        with dispatching(place.ledger_folder, {"small": small}) as dispatcher:
            threading.Thread(target=ask_until_stopped, args=(dispatcher,)).start()
            until(lambda: [note for note in waiting_batches(place) if note.batch_id])
            dispatcher.stop(StoppedError("interrupted"))
        batches(context, None, tmp_path)
        output = capsys.readouterr().out
        assert "batch_0" in output
        assert "40" in output
        batches(context, ["batch_0"], tmp_path)
        answered = len(kept(place.ledger_folder, questions(40)))
        assert f"batch_0 is cancelled: {answered} of its 40 requests" in capsys.readouterr().out
        assert 5 < answered < 35
        batches(context, None, tmp_path)
        assert "no batches wait" in capsys.readouterr().out
        server.configure(batch_s=0, batch_share=1.0, batch_ending="completed")
        with dispatching(place.ledger_folder, {"small": small}) as dispatcher:
            answers = dispatcher.ask([one for one in questions(40) if one.key not in kept_keys(place)])
        assert [answer.error for answer in answers] == [None] * (40 - answered)
        assert server.stats()["samples_begun_again"] == 0


def kept_keys(place: Workspace) -> set[str]:
    return set(kept(place.ledger_folder, questions(40)))


def a_note(place: Workspace, address: str, batch_id: str | None) -> BatchNote:
    """A note of a batch that no run has made."""
    store = BatchNotes(place.ledger_folder / "batches")
    note = store.begin(address, "small", None, "/v1/chat/completions", [("0" * 32, b"{}\n")])
    note = note.model_copy(update={"batch_id": batch_id})
    store.save(note)
    return note


@pytest.mark.parametrize("batch_list", ["given", "refused"])
@pytest.mark.parametrize("batch_id", ["batch_gone", None])
def test_a_batch_that_the_server_does_not_have_is_forgotten(
    tmp_path: Path, batch_id: str | None, batch_list: str
) -> None:
    place = Workspace(tmp_path)
    with FakeServer() as server:
        note = a_note(place, server.base_url, batch_id)
        server.configure(status_all=401)
        with pytest.raises(KasasagiError, match="answers 401"):
            cancel(place, note)
        assert waiting_batches(place) == [note]
        server.configure(status_all=None, batch_list=batch_list)
        assert f"{batch_id or note.name} is not found at" in cancel(place, note)
    assert not waiting_batches(place)


def test_a_batch_that_nothing_but_404_is_said_of_is_forgotten_on_demand(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    with FakeServer(status_all=404) as server:
        unconfirmed = a_note(place, server.base_url, None)
        with pytest.raises(KasasagiError, match="answers 404"):
            cancel(place, unconfirmed)
        assert waiting_batches(place) == [unconfirmed], "the batch itself was not asked for"
        assert "is removed from the list as you asked" in cancel(place, a_note(place, server.base_url, "batch_7"))
    assert waiting_batches(place) == [unconfirmed]


def test_a_batch_that_its_server_cannot_cancel_is_not_forgotten(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    with FakeServer(batch_s=3600, batch_list="refused", batch_cancel="unknown") as server:
        with dispatching(place.ledger_folder, {"small": model(server, batch={"gather_s": 0})}) as dispatcher:
            threading.Thread(target=ask_until_stopped, args=(dispatcher,)).start()
            (note,) = until(lambda: [note for note in waiting_batches(place) if note.batch_id])
            dispatcher.stop(StoppedError("interrupted"))
        with pytest.raises(KasasagiError, match="does not cancel batch_0: it answers 404"):
            cancel(place, note)
    assert waiting_batches(place) == [note]


def test_a_batch_in_a_folder_is_taken_out_of_it_and_forgotten(tmp_path: Path) -> None:
    place, folder = Workspace(tmp_path), tmp_path / "files"
    note = a_note(place, str(folder), None)
    folder.mkdir()
    (folder / f"{note.name}.jsonl").write_bytes(b"{}\n")
    assert "removed from the list" in cancel(place, note)
    assert not list(folder.iterdir())
    assert not waiting_batches(place)


def ask_until_stopped(dispatcher: Dispatcher) -> None:
    with suppress(StoppedError):
        dispatcher.ask(questions(40))


def test_what_is_to_say_of_batches_is_said_by_the_run(tmp_path: Path) -> None:
    place, logged = Workspace(tmp_path / "workspace"), list[str]()
    place.prepare()
    small = {"kind": "openai", "model": "small", "base_url": "http://127.0.0.1:1/v1"}
    source = {"kind": "dataset", "path": "p.jsonl"}
    asked = {"respond": {"models": ["small"], "samples": 2}, "judge": {"model": "small"}}
    recipe = check_recipe({"name": "r", "source": source, "models": {"small": small}, **asked}, tmp_path)
    run = Run.begin(place, "r-1", "r", recipe.plain(), tmp_path, None)
    with session_of(LoadedRecipe(recipe=recipe, base=tmp_path), run, Options(place, log=logged.append)) as session:
        session.dispatcher.log("a batch is gone")
    assert logged == ["a batch is gone"]


def test_what_cannot_be_cancelled_is_said_in_one_sentence(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    note = a_note(place, "http://127.0.0.1:1/v1", "batch_7")
    with pytest.raises(KasasagiError, match="cannot connect to"):
        cancel(place, find_batch(place, "batch_7"))
    handed = note.model_copy(update={"batch_id": None})
    handing_over = BatchNotes(place.ledger_folder / FOLDER).handing_over(note.name)
    with handing_over, pytest.raises(KasasagiError, match=f"sent by process {note.pid}"):
        cancel(place, handed)
    with pytest.raises(UsageError, match="waiting are: batch_7"):
        find_batch(place, "batch_8")
