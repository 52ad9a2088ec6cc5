"""The folder of a user's work: runs, their state, their shards and their tables."""
