"""What kasasagi claims about speed, size and correctness, as commands that anyone can run."""
