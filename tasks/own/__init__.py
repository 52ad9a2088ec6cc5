"""Stages of a user's own: a function in a Python file beside the recipe gets all that our stages have."""
