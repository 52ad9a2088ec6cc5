"""A low limit on open files bounds the calls in flight, so that the run keeps files for itself, and says so once."""

import subprocess
import sys

import pytest

from kasasagi.blocks.dispatch.limits import connections
from kasasagi.blocks.models.kinds import BundledModel, ModelConfig, OpenAIModel
from tests.blocks.helpers import model

LOCAL, OTHER = "http://127.0.0.1:8000/v1", "http://127.0.0.1:8001/v1"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(connections, "file_limit", lambda: 256)
    return []


def most(models: dict[str, ModelConfig]) -> dict[str, int]:
    return {label: one.most_concurrency(LOCAL) for label, one in models.items() if isinstance(one, OpenAIModel)}


def test_models_share_the_connections_that_the_run_does_not_need(lines: list[str]) -> None:
    models = {"small": model(LOCAL, max_concurrency=400), "large": model(LOCAL), "few": model(LOCAL, max_concurrency=8)}
    bounded = connections.with_enough_files(models, lines.append)
    assert most(bounded)["few"] == 8
    assert 0 < sum(most(bounded).values()) <= 256 - 100
    assert len(lines) == 1
    assert "256 open files" in lines[0]
    assert f"at most {most(bounded)['small']} calls" in lines[0]
    assert "small, large;" in lines[0]
    assert "ulimit -n" in lines[0]


def test_every_address_of_a_model_counts(lines: list[str]) -> None:
    one = connections.with_enough_files({"small": model(LOCAL)}, lines.append)
    two = connections.with_enough_files({"small": model(LOCAL, base_url=[LOCAL, OTHER])}, lines.append)
    assert most(two)["small"] == most(one)["small"] // 2


def test_models_that_fit_stay_as_they_are(lines: list[str]) -> None:
    models: dict[str, ModelConfig] = {"small": model(LOCAL, max_concurrency=16), "here": BundledModel(kind="bundled")}
    assert connections.with_enough_files(models, lines.append) == models
    assert lines == []


SENTENCE = """
import errno, resource
from kasasagi.flows.errors import user_message
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
print(user_message(OSError(errno.EMFILE, "Failed to open local file 'a.parquet'"))[0])
"""


def test_a_file_that_cannot_be_opened_names_the_limit_and_the_remedy() -> None:
    done = subprocess.run([sys.executable, "-c", SENTENCE], capture_output=True, text=True, check=True)
    assert "too many open files" in done.stdout
    assert "256" in done.stdout
    assert "ulimit -n" in done.stdout
