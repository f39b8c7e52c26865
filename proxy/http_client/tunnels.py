"""A tunnel through a forward proxy: `CONNECT` (RFC 9110, 9.3.6)."""

import asyncio
import re
from socket import socket
from typing import Final

from proxy.http_client.failures import refused_by_proxy
from proxy.http_client.proxies import ForwardProxy
from proxy.http_client.targets import Origin
from translators.errors import ProviderError

__all__ = ["tunnel"]

_MAX_HEAD: Final = 16 * 1024
_END: Final = b"\r\n\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r\n")


async def tunnel(sock: socket, origin: Origin, via: ForwardProxy) -> None:
    """Have a proxy connect a socket with a server.

    Args:
        sock: Connected to `via`, and in no transport yet: TLS is begun on it afterwards.
        origin: The server.
        via: Asked for the tunnel.

    Raises:
        ProviderError: It refuses.
        OSError: The connection to it broke.
    """
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {origin.place} HTTP/1.1", f"host: {origin.place}"]
    if via.authorization is not None:
        lines.append(f"proxy-authorization: {via.authorization}")
    await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode("ascii"))
    answer = b""
    while _END not in answer:
        if len(answer) > _MAX_HEAD:
            raise _odd(via)
        more = await loop.sock_recv(sock, 4096)
        if not more:
            raise ConnectionResetError("the forward proxy closed the connection")
        answer += more
    status = _STATUS.match(answer)
    if status is None:
        raise _odd(via)
    if not status[1].startswith(b"2"):
        raise refused_by_proxy(via.place, int(status[1]))
    if not answer.endswith(_END) or answer.count(_END) > 1:
        # The server speaks second in TLS: whoever spoke, it was not the server.
        raise _odd(via)


def _odd(via: ForwardProxy) -> ProviderError:
    return ProviderError(
        f"What answers at {via.place} is no forward proxy: it answers CONNECT with something else.",
        kind="network",
    )
