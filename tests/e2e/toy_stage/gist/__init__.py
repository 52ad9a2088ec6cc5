"""Gist: a model sums up each prompt with its answers in a sentence."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, gist="task")
