"""The outside world: models, the ledger, workspaces, destinations. Imports nothing of the floors above."""
