"""The outside world: models, the ledger, workspaces, destinations. Imports nothing of the floors above."""

if __name__ != "kasasagi.blocks":
    raise ImportError(
        "'blocks' is now 'kasasagi.blocks': import it by that name, e.g. `from kasasagi.blocks import telemetry`"
    )
