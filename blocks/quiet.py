"""Import this first: it switches off the telemetry of what we depend on, before any of it is imported."""

import os

SWITCHES = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


def switch_off_telemetry() -> None:
    """Set the switches, unless the user set them."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)


switch_off_telemetry()
