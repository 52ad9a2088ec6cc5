"""hina, the bundled language model: its world, its corpus, its training and its conversion."""
