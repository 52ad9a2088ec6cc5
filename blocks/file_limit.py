"""How many files and connections this process may have open: as many as the system allows it, within reason."""

from contextlib import suppress

MOST = 65_536
OWN_FILES = 128
"""What a run holds open beside its connections to models: modules, shards, ledgers, logs, connections to Prefect."""


def raise_file_limit(most: int = MOST) -> None:
    """Raise the soft limit on open files to the hard one, at most to `most`; many shells set it to 256 or 1,024.

    Where the system does not let us, the limit stays, and a call that meets it says so.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def file_limit() -> int:
    """Return how many files and connections this process may have open; MOST where the system sets no lower limit."""
    try:
        import resource
    except ImportError:
        return MOST
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if soft == resource.RLIM_INFINITY else min(soft, MOST)
