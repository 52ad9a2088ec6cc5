"""The stages: their configuration, their pure functions, their work."""
