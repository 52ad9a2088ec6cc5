"""The report: what a run came to, drawn, on one page that needs nothing else."""
