"""Converse: dialogues grow to several turns, each answered by a model and gone on with by one that plays the user."""

from kasasagi.tasks.lazy import lazily

__getattr__ = lazily(__name__, converse="task")
