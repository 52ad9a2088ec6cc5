"""Which fault a request meets: drawn from the seed and the request's digest, so that a test repeats."""

import hashlib
import random
from collections.abc import Sequence

from tests.fake_server.asks import Ask
from tests.fake_server.config import ServerConfig


def draw(*parts: object) -> float:
    """A number from 0 up to 1 that depends on the parts alone."""
    name = ":".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64


class FaultPlan:
    """The faults of one configuration."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._transient = config.faults.transient()
        self._lasting = config.faults.lasting()

    def transient(self, ask: Ask, attempt: int) -> str | None:
        """The fault of this attempt (counted from 0) of a request, which another attempt may not meet."""
        if not self._transient or not self._concerns(ask):
            return None
        if self._config.random_faults:
            return _choose(self._transient, random.random())
        counted = 0 if self._config.transient_forever else attempt
        return _choose(self._transient, draw(self._config.seed, ask.digest, counted))

    def lasting(self, ask: Ask) -> str | None:
        """The fault that this request meets on every attempt."""
        if not self._lasting or not self._concerns(ask):
            return None
        return _choose(self._lasting, draw(self._config.seed, ask.digest, "lasting"))

    def _concerns(self, ask: Ask) -> bool:
        return self._config.fault_models is None or ask.model in self._config.fault_models


def _choose(rates: Sequence[tuple[str, float]], point: float) -> str | None:
    for name, rate in rates:
        point -= rate
        if point < 0.0:
            return name
    return None
