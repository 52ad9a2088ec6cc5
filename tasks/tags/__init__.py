"""Tags: a model labels each prompt; the labels are columns."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, tags="task")
