"""A cluster for quick tests: workers are threads or processes of this machine, the storage a folder, memory or S3."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.cluster import worker
from kasasagi.blocks.cluster.call_batches import CallBatch, WorkerReport
from kasasagi.blocks.cluster.dispatcher import ClusterDispatcher
from kasasagi.blocks.cluster.transport import Cluster, ClusterTransport, Send
from kasasagi.blocks.cluster.worker import answer_batch
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.models.kinds import Budget, ModelConfig
from tests.served import s3_served

BUCKET = "flock"
ROOT = "workspace/run"


@dataclass
class Site:
    """A ledger's folder, a storage, and clusters that use them."""

    ledger: Path
    storage: str
    sent: list[CallBatch] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.storage)

    def transport(
        self, models: Mapping[str, ModelConfig], send: Send | None = None, **settings: Any
    ) -> ClusterTransport:
        def answered(batch: CallBatch, options: Mapping[str, Any]) -> WorkerReport:
            self.sent.append(batch)
            return send(batch, options) if send else answer_batch(batch)

        how = {"at_once": 2, "batch_calls": 16, "flush_s": 0.0, **settings}
        cluster = Cluster("tcp://test:1", self.storage, answered, **how)
        return ClusterTransport(cluster, ROOT, self.ledger, models)

    @contextmanager
    def dispatching(
        self,
        models: Mapping[str, ModelConfig],
        send: Send | None = None,
        budget: Budget = Budget(),  # noqa: B008 - it is frozen
        resources: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Iterator[ClusterDispatcher]:
        transport = self.transport(models, send, **settings)
        dispatcher = ClusterDispatcher(models, {}, (self.ledger, budget), transport, resources or {})
        try:
            yield dispatcher
        finally:
            dispatcher.close(20)
            transport.finish()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    yield Site(tmp_path / "ledger", str(tmp_path / "storage"))
    end_sessions()


def end_sessions() -> None:
    for session in list(worker._SESSIONS.values()):
        session.end()


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with s3_served() as address:
        yield address


@pytest.fixture(params=["file", "memory", "s3"])
def any_site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    """A site on each kind of storage."""
    address = {"file": str(tmp_path / "storage"), "memory": f"memory://{tmp_path.name}"}.get(request.param)
    if address is None:
        address = bucket(request.getfixturevalue("s3_endpoint"), monkeypatch.setenv) + f"/{tmp_path.name}"
    yield Site(tmp_path / "ledger", address)
    end_sessions()


def s3_environment(endpoint: str) -> dict[str, str]:
    """The variables that lead to a server of our own."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    return {"AWS_ENDPOINT_URL": endpoint, **keys}


def bucket(endpoint: str, setenv: Callable[[str, str], None]) -> str:
    """A bucket on a server of our own."""
    for name, value in s3_environment(endpoint).items():
        setenv(name, value)
    import boto3

    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return f"s3://{BUCKET}"
