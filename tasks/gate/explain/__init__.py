"""Explain a gate that failed: in plain words, with rows and reasons."""
