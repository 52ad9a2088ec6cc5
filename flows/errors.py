"""What the command line says in one sentence instead of a traceback."""


class KasasagiError(Exception):
    """Something that a person can put right: the message names the value, the reason and the remedy."""

    exit_code = 1


class UsageError(KasasagiError):
    """A command was given arguments that it cannot use."""

    exit_code = 2
