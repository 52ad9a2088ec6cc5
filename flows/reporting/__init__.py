"""Reports to Prefect and to the terminal during a run and at its end."""
