"""Checkers: pure functions that compare an answer with a truth or a constraint, without a model."""
