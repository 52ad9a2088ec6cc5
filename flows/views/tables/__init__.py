"""The tables of a run: queried, written to files, and as data frames."""
