"""Select: which of the filtered prompts stay, once they are tagged and compared: conditions, likeness, quotas."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, select="task")
