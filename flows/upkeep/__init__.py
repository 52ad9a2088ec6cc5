"""Care for what runs leave: the ledger, batches in flight, waiting for runs."""
