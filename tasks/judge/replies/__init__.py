"""Judges' replies, read strictly."""
