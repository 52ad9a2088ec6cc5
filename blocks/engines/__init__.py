"""Models that this machine runs: the bundled one, and vLLM in this process or as a server."""
