"""Publish: a run's pairs become a folder that trainers load as it is, whole or not at all."""

from tasks.publish.config import HubConfig, PublishConfig, Published, PublishError, Release
from tasks.publish.folder import recover
from tasks.publish.job import publish
from tasks.publish.release import release

__all__ = ["HubConfig", "PublishConfig", "PublishError", "Published", "Release", "publish", "recover", "release"]
