"""Tells kinds of texts by their words: refusals, questions on a private life, and mentions of absent things."""
