"""Publish: a run's pairs become a folder that trainers load as it is, whole or not at all."""

from tasks.publish.config import PublishConfig, Published, PublishError
from tasks.publish.folder import recover
from tasks.publish.job import publish

__all__ = ["PublishConfig", "PublishError", "Published", "publish", "recover"]
