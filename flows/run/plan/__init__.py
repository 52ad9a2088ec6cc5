"""What a run will ask, counted before anything is asked."""
