"""Connections on which nothing is said for long: a model thinks for minutes, without a byte."""

import socket
from typing import Any, Final

__all__ = ["probed_socket"]

_PROBES: Final = {
    # Less than the 4 to 6 minutes after which gateways and balancers of the clouds forget a silent
    # connection. Systems begin after two hours, where they are not told.
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPALIVE": 60,
    "TCP_KEEPINTVL": 30,
    "TCP_KEEPCNT": 4,
}
"""Seconds of silence before the first probe (of two names, a system has one), seconds between
probes, and how many may stay without an answer: after 3 minutes somebody is known to be gone."""


def probed_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a new socket whose system asks for itself, in silence, whether the other is there.

    Args:
        address: As `getaddrinfo` returns it.
    """
    family, kind, protocol = address[:3]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock
