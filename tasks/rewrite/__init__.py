"""Rewriting: further prompts made out of those that were selected, each with the id of its origin."""
