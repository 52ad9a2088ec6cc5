"""Tags: a model labels each prompt; the labels are columns."""
