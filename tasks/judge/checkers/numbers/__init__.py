"""Numbers and expressions: how they are written, their units, and whether two of them are equal."""
