"""Explain a gate that failed, and what a run lost: in plain words, with rows and reasons."""
