"""The recipe: its model, how it is read, checked, explained and copied."""
