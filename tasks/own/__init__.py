"""Stages of a user's own: a function in a Python file next to the recipe gets all that our stages have."""
