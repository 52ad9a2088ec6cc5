"""Judging: the prompt, the strict reader, the stage."""
