"""The dataset card: its text, its figures and its plots."""
