"""Our filter rules: the registry, and what each looks for in a text."""
