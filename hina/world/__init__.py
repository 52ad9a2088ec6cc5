"""The closed world that hina talks about, and the oracle that knows what is true in it."""
