"""The checker `code`: runs an answer's Python with its tests in a process that can compute and nothing else."""
