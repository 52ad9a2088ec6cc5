"""What is said of a gate that failed: in plain words, with rows and reasons."""
