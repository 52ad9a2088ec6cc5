"""What is written about recipes: one to start from, copies of those that ship with kasasagi, and the reference."""
