"""The end of connections: at once, with what was not sent.

asyncio closes a connection once all that was written is sent, and the kernel keeps trying after
that. A provider that does not read would keep a connection that nobody needs, and the request's
body with it, until TCP gives it up: many minutes. So it is reset instead.
"""

import asyncio
import socket
import struct
import sys

__all__ = ["drop_unsent", "has_unsent"]

_RESET = struct.pack("ii", 1, 0)
"""`SO_LINGER` of a socket whose closing drops what was not sent."""


def drop_unsent(transport: asyncio.Transport) -> None:
    """Let the kernel drop what it has of a connection that is about to be aborted.

    Without this it would keep that, and the end would not reach a provider that reads nothing.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def has_unsent(transport: asyncio.Transport) -> bool:
    """Return whether something of what was written has not reached the other side yet."""
    if transport.get_write_buffer_size():
        return True
    sock = transport.get_extra_info("socket")
    if sys.platform != "linux" or sock is None or sock.fileno() < 0:
        return False
    import fcntl  # noqa: PLC0415  there is none elsewhere
    import termios  # noqa: PLC0415

    # What TLS has encrypted is in a buffer that its transport does not count.
    return fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)) != bytes(4)
