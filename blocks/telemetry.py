"""Import this first: it sets the environment for what we depend on, before any of it is imported.

Its telemetry is switched off, and no connection within this machine goes through a proxy.
"""

import os

SWITCHES = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "VLLM_NO_USAGE_STATS": "1",
}

NO_PROXY = ("no_proxy", "NO_PROXY")
LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
"""And the address that servers print which listen on all of a machine's."""


def switch_off_telemetry() -> None:
    """Set the switches, unless the user set them."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)


def spare_loopback() -> None:
    """Let no HTTP client send through a proxy what stays on this machine, to Prefect's server or a model's.

    The clients of Prefect, openai, urllib and those of every subprocess all read this variable, in either spelling.
    """
    written = ",".join(os.environ.get(name, "") for name in NO_PROXY)
    hosts = [host.strip() for host in written.split(",") if host.strip()]
    if "*" not in hosts:
        hosts += [host for host in LOOPBACK if host not in hosts]
    os.environ.update(dict.fromkeys(NO_PROXY, ",".join(dict.fromkeys(hosts))))


switch_off_telemetry()
spare_loopback()
