"""What is shown of a run: functions that work out what there is to see, and functions that draw it."""
