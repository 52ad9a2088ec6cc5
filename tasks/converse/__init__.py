"""Converse: dialogues grow to several turns, each answered by a model and gone on with by one that plays the user."""
