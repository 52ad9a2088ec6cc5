"""One run from its first row to its last: the stages in their order, chunk by chunk."""
