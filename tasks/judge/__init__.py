"""Judging: the prompt, the strict reader, the stage."""

from kasasagi.tasks.lazy import lazily

__getattr__ = lazily(__name__, judge="task")
