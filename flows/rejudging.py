"""The former place of flows/rejudge.py, where deployments that were made before still look for the flow."""

from kasasagi.flows.rejudge import rejudge

__all__ = ["rejudge"]
