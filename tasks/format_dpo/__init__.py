"""Format DPO: a prompt's rated responses become preferences, or a reason why not."""

from kasasagi.tasks.lazy_imports import lazily

__getattr__ = lazily(__name__, format_dpo="task")
