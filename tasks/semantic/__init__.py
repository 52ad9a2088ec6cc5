"""Meaning: prompts as vectors of an embedding model, their nearest neighbours, and duplicates in meaning."""
