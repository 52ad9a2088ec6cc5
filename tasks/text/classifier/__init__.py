"""Tells kinds of texts apart: refusals, questions on a private life, and mentions of absent things."""
