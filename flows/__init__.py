"""What runs: flows and the command line."""

if __name__ != "kasasagi.flows":
    raise ImportError(
        "'flows' is now 'kasasagi.flows': import it by that name, e.g. `from kasasagi.flows.runner import run_recipe`"
    )

import os

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # Arrow's own pools keep a fifth of a run's memory

from kasasagi.blocks import telemetry  # noqa: F401 - sets the environment before Prefect reads it
