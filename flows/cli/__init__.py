"""The command line, a file for each group of commands."""

from typing import NoReturn


def main() -> NoReturn:
    """Run `kasasagi`, and leave with its exit code."""
    from kasasagi.flows.cli.app import main as run

    run()
