"""Loaded by a Dask worker beforehand, so that the bundled model answers at once."""

from benchmarks.parts.instant import InstantEngine
from kasasagi.blocks.engines.kinds import override_engine
from kasasagi.blocks.models.kinds import BundledModel

override_engine(InstantEngine(), BundledModel(kind="bundled"))
