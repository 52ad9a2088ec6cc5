"""Plans: what stages will ask for, counted, and what that takes of a budget."""
