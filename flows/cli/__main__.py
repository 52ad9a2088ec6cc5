"""`python -m kasasagi.flows.cli`: the command line without its script."""

from kasasagi.flows.cli import main

main()
