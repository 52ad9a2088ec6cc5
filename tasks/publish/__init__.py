"""Publish: a run's pairs become a folder that trainers load as it is, whole or not at all."""

from kasasagi.tasks.publish.config import HubConfig, PublishConfig, Published, PublishError, Release
from kasasagi.tasks.publish.job import publish
from kasasagi.tasks.publish.places.folder import recover
from kasasagi.tasks.publish.places.preflight import path_problems
from kasasagi.tasks.publish.release import release

__all__ = [
    "HubConfig",
    "PublishConfig",
    "PublishError",
    "Published",
    "Release",
    "path_problems",
    "publish",
    "recover",
    "release",
]
