"""Loaded by a Dask worker beforehand, so that the bundled model answers at once."""

from benchmarks.instant import InstantEngine
from kasasagi.blocks.engines.kinds import answer_with
from kasasagi.blocks.models.kinds import BundledModel

answer_with(InstantEngine(), BundledModel(kind="bundled"))
