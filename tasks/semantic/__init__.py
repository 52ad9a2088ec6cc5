"""Meaning: prompts as vectors of an embedding model, their nearest neighbours, and duplicates in meaning."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, semantic="task")
