"""Which host names mean this machine, so that no proxy comes between."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address


def is_loopback(host: str) -> bool:
    """Return whether a URL's host is this machine, in any form that connects there, such as 127.1 or api.localhost.

    The address that servers print which listen on all of a machine's, 0.0.0.0, counts too.
    """
    name = host.strip("[]").rstrip(".").casefold()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    found = mapped or address
    return found is not None and (found.is_loopback or found.is_unspecified)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a host is, also in the short forms of the system's resolver; None for a name."""
    try:
        return ip_address(name)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):  # a name
        return None
