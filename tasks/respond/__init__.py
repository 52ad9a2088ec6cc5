"""Respond: every model answers every prompt."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, respond="task")
