"""The ledger: every finished call by its key, so that nothing is paid for twice."""
