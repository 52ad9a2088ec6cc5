"""Runs made anew of what is there: other pairs, judges and gates, publications."""
