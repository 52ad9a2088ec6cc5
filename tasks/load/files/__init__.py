"""Files of prompts: found, opened and read."""
