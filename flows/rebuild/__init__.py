"""Rebuild runs from what is there: other pairs, judges and gates, publications."""
