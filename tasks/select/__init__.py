"""Select: which of the filtered prompts go on, once they are tagged and compared: conditions, likeness, quotas."""
