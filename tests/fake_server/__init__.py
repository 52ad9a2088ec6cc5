"""An OpenAI-compatible server that the tests and the benchmarks own: exact accounts, faults and latencies on demand."""

from tests.fake_server.asks import sample_digest
from tests.fake_server.config import FaultRates, ServerConfig
from tests.fake_server.process import FakeServer

__all__ = ["FakeServer", "FaultRates", "ServerConfig", "sample_digest"]
