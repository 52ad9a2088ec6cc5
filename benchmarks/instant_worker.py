"""Loaded by a Dask worker beforehand, so that the bundled model answers at once."""

from benchmarks.instant import InstantEngine
from blocks.engines import answer_with
from blocks.models import BundledModel

answer_with(InstantEngine(), BundledModel(kind="bundled"))
