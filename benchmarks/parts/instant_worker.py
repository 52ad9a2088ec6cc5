"""Loaded by a Dask worker beforehand, so that the bundled model answers at once."""

from benchmarks.parts.instant import InstantEngine
from kasasagi.blocks.engines import kinds

ENGINE = InstantEngine()
kinds.bundled_engine = lambda model: ENGINE
