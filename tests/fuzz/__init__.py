"""Whatever comes from outside, damaged in every way: no crash, no hang, nothing wrong accepted."""
