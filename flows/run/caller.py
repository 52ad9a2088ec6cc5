"""How whoever calls a flow from this process wants it run; a deployment's runs have no such caller."""

from contextvars import ContextVar

from kasasagi.flows.run.options import Options

_CALLER: ContextVar[Options | None] = ContextVar("caller", default=None)


def caller() -> Options | None:
    """Return what the caller of the flow wants; None where the flow runs by its parameters alone."""
    return _CALLER.get()


def call_with(options: Options) -> None:
    """Let the flows that are called in this context run as these options say."""
    _CALLER.set(options)
