"""Publishing to all places that a recipe names: a folder, a storage, the Hub; each whole or not at all."""

import tempfile
from contextlib import suppress
from pathlib import Path

import duckdb

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.destinations import DestinationError
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish.config import HubConfig, PublishConfig, Published, PublishError, Release
from kasasagi.tasks.publish.job import publish
from kasasagi.tasks.publish.places.hub import push
from kasasagi.tasks.publish.places.preflight import refuse_place
from kasasagi.tasks.publish.places.remote import upload


def release(config: PublishConfig, run: Run, connection: duckdb.DuckDBPyConnection, partial: bool = False) -> Release:
    """Publish a run's pairs wherever the configuration says; raises PublishError as soon as one place fails.

    Whether the run's gates allow a publication is the caller's matter. A place that was reached before another one
    failed keeps what it got; publishing again updates all of them.
    """
    config = config.for_run(run.id, run.state().started)
    target, address = config.folder(), config.address()
    result: Release | None = None
    if target is not None:
        refuse_place(target, run.workspace, Path(run.state().base))
        published = publish(config, run, connection, target, partial=partial)
        result = _release(published).model_copy(update={"path": str(published.path)})
        _note(run, result)
    if address is None and config.hub is None:
        if result is None:
            raise PublishError("neither publish.path nor publish.hub says where the dataset goes: name one of them")
        return result
    with tempfile.TemporaryDirectory(prefix="publish-", dir=run.folder) as place:
        staged = publish(config, run, connection, Path(place) / "dataset", partial=partial)
        result = result or _release(staged)
        return _sent(config, run, staged, result)


def _release(published: Published) -> Release:
    return Release(rows=published.rows, digest=published.digest, formats=published.formats)


def _sent(config: PublishConfig, run: Run, staged: Published, result: Release) -> Release:
    """Bring a folder that was built to the storage and to the Hub."""
    try:
        if address := config.address():
            with run.workspace.lock(digest({"publish": address})):
                upload(staged.path, address)
            result = result.model_copy(update={"path": address})
            _note(run, result)
        if config.hub is not None:
            with run.workspace.lock(digest({"publish": _known_as(config.hub)})):
                result = result.model_copy(update={"hub": push(config.hub, staged.path)})
            _note(run, result)
    except DestinationError as error:
        raise PublishError(_with_places(str(error), result)) from error
    return result


def _known_as(config: HubConfig) -> str:
    return f"hub:{config.repo}:{config.revision}"


def _with_places(sentence: str, result: Release) -> str:
    """Return the sentence with where the dataset lies all the same."""
    return f"{sentence}; the dataset is complete in {' and in '.join(result.places)}" if result.places else sentence


def _note(run: Run, result: Release) -> None:
    """Keep in the run's state where the dataset lies, as soon as it does."""
    with suppress(OSError):
        state = run.state()
        places = (*(place for place in state.all_places if place not in result.places), *result.places)
        run.save(state.model_copy(update={"published": result.path, "hub": result.hub, "places": places}))
