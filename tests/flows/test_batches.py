"""`kasasagi batches`: what waits is listed, and what is cancelled keeps what it answered."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from blocks.batch_notes import BatchNotes
from blocks.dispatcher import Dispatcher, StoppedError
from blocks.workspace import Workspace
from flows.batches import cancel, named, waiting
from flows.cli_batches import batches
from flows.errors import KasasagiError, UsageError
from tests.blocks.helpers import dispatching, kept, model, questions, until
from tests.fake_server import FakeServer


def test_a_batch_that_waits_is_listed_cancelled_and_what_it_answered_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Workspace(tmp_path)
    with FakeServer(batch_s=3600, batch_share=0.5, batch_ending="cancelled") as server:
        small = model(server, batch={"gather_s": 0, "poll_s": 0.02})
        with dispatching(place.ledger_folder, {"small": small}) as dispatcher:
            threading.Thread(target=ask_until_stopped, args=(dispatcher,)).start()
            until(lambda: [note for note in waiting(place) if note.batch_id])
            dispatcher.stop(StoppedError("interrupted"))
        batches(None, tmp_path)
        said = capsys.readouterr().out
        assert "batch_0" in said
        assert "40" in said
        batches(["batch_0"], tmp_path)
        with dispatching(place.ledger_folder, {"small": small}) as dispatcher:
            answers = dispatcher.ask(questions(40))
        answered = [answer for answer in answers if answer.error is None]
        assert 5 < len(answered) < 35
        assert len(kept(place.ledger_folder, questions(40))) == len(answered)
        assert server.stats()["batches"] == {"files": 3, "cancelled": 1}
    batches(None, tmp_path)
    assert "no batches wait" in capsys.readouterr().out


def ask_until_stopped(dispatcher: Dispatcher) -> None:
    with suppress(StoppedError):
        dispatcher.ask(questions(40))


def test_what_cannot_be_cancelled_is_said_in_one_sentence(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    store = BatchNotes(place.ledger_folder / "batches")
    note = store.begin("http://127.0.0.1:1/v1", "small", None, "/v1/chat/completions", [("0" * 32, b"{}\n")])
    with pytest.raises(KasasagiError, match="not handed over"):
        cancel([note])
    store.save(note.model_copy(update={"batch_id": "batch_7", "made": time.time()}))
    with pytest.raises(KasasagiError, match="nobody answers"):
        cancel([named(place, "batch_7")])
    with pytest.raises(UsageError, match="waiting are: batch_7"):
        named(place, "batch_8")
