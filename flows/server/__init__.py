"""A Prefect server of a run's own, started and stopped with it."""
