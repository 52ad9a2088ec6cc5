"""Duplicates: equal and similar prompts of a run, of published datasets and of test sets."""
