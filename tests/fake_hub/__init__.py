"""A small Hub of our own: enough of its API for the real client to make, look at and change dataset repositories."""

from tests.fake_hub.server import FakeHub, Repository

__all__ = ["FakeHub", "Repository"]
