"""Judging: the prompt, the strict reader, the stage."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, judge="task")
