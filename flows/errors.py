"""Errors that a person sees as one sentence instead of a traceback."""

import errno

from kasasagi.blocks.file_limit import file_limit

INTERRUPTED = 130


class KasasagiError(Exception):
    """Something that a person can put right: the message names the value, the reason and the remedy."""

    exit_code = 1


class UsageError(KasasagiError):
    """A command was given arguments that it cannot use."""

    exit_code = 2


def user_message(error: BaseException) -> tuple[str, int]:
    """Return the sentence for an error and the exit code, as the table in docs/operations.md lists them."""
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "TerminationSignal":
        return "interrupted; what was paid for is stored; run it again to continue", INTERRUPTED
    if type(error).__name__ == "GateFailedError":
        return f"a gate stopped the run, and nothing was published: {error}", 3
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return _too_many_files(error), 1
    known = getattr(error, "exit_code", None)
    return str(error) or type(error).__name__, known if isinstance(known, int) else 1


def _too_many_files(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return (
        f"too many open files{where}: the system allows this process {file_limit():,}; raise the limit with ulimit -n, "
        "or lower max_concurrency, and run it again: what was paid for is stored"
    )
