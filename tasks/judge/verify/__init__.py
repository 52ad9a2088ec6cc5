"""Judging without a model: answers are checked against a truth or a constraint."""
