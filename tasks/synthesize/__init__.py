"""Synthesize: a chat model invents instructions when it is given only what stands before the user's words (Magpie)."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, synthesize="task")
