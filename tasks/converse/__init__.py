"""Converse: dialogues grow to several turns, each answered by a model and continued by one that plays the user."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, converse="task")
