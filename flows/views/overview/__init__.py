"""A run at a glance: its state, the funnel, the gates and some pairs."""
