"""A small Argilla server of our own: enough of its API for the real client to write and read."""

from tests.fake_argilla.server import FakeArgilla

__all__ = ["FakeArgilla"]
