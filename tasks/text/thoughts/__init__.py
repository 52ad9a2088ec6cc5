"""Thinking of models: its marks, where it is cut off, and texts that only speak of it."""
