"""Publishing to storages through fsspec: S3 by a server of its own kind on this machine, and memory."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.hints import install
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish import PublishConfig, PublishError, Release, release
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import build_example_run
from tests.served import s3_served

BUCKET = "nests"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """An earlier run of 3 pairs and a later one of 5."""
    home = tmp_path_factory.mktemp("workspaces")
    return {name: build_example_run(home / name, prompts=size) for name, size in (("earlier", 6), ("later", 8))}


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    with s3_served() as address:
        yield address


@pytest.fixture(params=["memory", "s3"])
def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A folder of its own on a storage."""
    if request.param == "memory":
        return f"memory://{tmp_path.name}/out"
    endpoint = request.getfixturevalue("s3_server")
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-storage",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    import boto3

    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return f"s3://{BUCKET}/{tmp_path.name}"


def put(run: Run, address: str, **settings: Any) -> Release:
    with open_tables(run) as connection:
        return release(PublishConfig.model_validate({"path": address, **settings}), run, connection)


def pairs_in(address: str, tmp_path: Path) -> int:
    """How many pairs lie there; manifest, files and rows must agree, and nothing else may lie beside them."""
    store = Store(address)
    manifest = json.loads(store.read("manifest.json") or b"{}")
    assert "incomplete" not in manifest
    assert store.names() == sorted([*manifest["files"], "manifest.json"])
    for name, described in manifest["files"].items():
        assert len(store.read(name) or b"") == described["bytes"]
    (tmp_path / "got.parquet").write_bytes(store.read("train.parquet") or b"")
    assert pq.read_table(tmp_path / "got.parquet").num_rows == manifest["rows"]
    return int(manifest["rows"])


def test_a_storage_gets_the_whole_dataset_and_then_the_next(runs: dict[str, Run], address: str, tmp_path: Path) -> None:
    assert put(runs["earlier"], address, formats=["trl", "sft"]).places == [address]
    assert pairs_in(address, tmp_path) == 3
    assert put(runs["later"], address).rows == 5
    assert pairs_in(address, tmp_path) == 5
    assert runs["later"].state().published == address


def failing_from(number: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a method of the storage fail from its call of that number on."""
    real, calls = getattr(Store, name), 0

    def call(self: Store, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= number:
            with self._translate_errors("written"):
                raise OSError(5, "the line is dead")
        return real(self, *arguments)

    monkeypatch.setattr(Store, name, call)


@pytest.mark.parametrize("number", [1, 3])
def test_an_upload_that_fails_leaves_the_earlier_dataset(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    address = f"memory://{tmp_path.name}/out"
    put(runs["earlier"], address)
    with monkeypatch.context() as patch:
        failing_from(number, "put", patch)
        with pytest.raises(PublishError, match=r"cannot be written \(.*the line is dead"):
            put(runs["later"], address)
    assert pairs_in(address, tmp_path) == 3


@pytest.mark.parametrize(("name", "number"), [("copy", 1), ("copy", 3), ("write", 2)])
def test_one_that_fails_while_files_are_put_in_place_says_incomplete_and_can_be_done_again(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    address = f"memory://{tmp_path.name}/out"
    put(runs["earlier"], address, formats=["trl", "sft"])
    with monkeypatch.context() as patch:
        failing_from(number, name, patch)
        with pytest.raises(PublishError):
            put(runs["later"], address)
    assert json.loads(Store(address).read("manifest.json") or b"{}")["incomplete"] is True
    put(runs["later"], address)
    assert pairs_in(address, tmp_path) == 5


def test_what_somebody_else_put_there_is_left_alone(runs: dict[str, Run], address: str) -> None:
    Store(address).write("thesis.tex", b"years")
    with pytest.raises(PublishError, match=r"thesis\.tex.*not replaced"):
        put(runs["earlier"], address)
    assert Store(address).names() == ["thesis.tex"]


def test_a_file_address_is_a_folder(runs: dict[str, Run], tmp_path: Path) -> None:
    result = put(runs["earlier"], f"file://{tmp_path}/out")
    assert result.path == str(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_bytes())["rows"] == 3


@pytest.mark.parametrize(
    ("address", "reason"),
    [("nest://x/y", "fsspec does not know"), ("s3://no-such-bucket-anywhere/x", "no-such-bucket-anywhere")],
)
def test_a_storage_that_cannot_be_used_gives_one_sentence(
    runs: dict[str, Run], address: str, reason: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-storage")
    with pytest.raises(PublishError, match=reason) as caught:
        put(runs["earlier"], address)
    assert "\n" not in str(caught.value)


def test_a_storage_without_its_package_names_the_extra(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(importlib.import_module("fsspec.registry")._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(PublishError, match=re.escape(install("s3"))):
        put(runs["earlier"], "s3://bucket/x")


@pytest.mark.parametrize("path", ["s3://key:secret@bucket/x", "s3://bucket/x?secret=1"])
def test_an_address_holds_no_key(path: str) -> None:
    with pytest.raises(ValidationError, match="AWS_SECRET_ACCESS_KEY"):
        PublishConfig(path=path)
