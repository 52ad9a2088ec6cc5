"""Rewriting: further prompts made out of those that were selected, each with the id of its origin."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, rewrite="task")
