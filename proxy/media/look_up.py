"""Look-ups of hosts, in threads that nobody has to wait for.

The system's look-up cannot be stopped: where name servers are silent it holds its thread for many
seconds. The event loop's threads look up the providers, and a pool's are waited for when the
process ends. So each look-up has a thread of its own, and their number is bounded.
"""

import asyncio
import socket
import threading
from collections.abc import Sequence

from proxy.media.shares import Shares

__all__ = ["LookUps"]

AT_ONCE = 32
"""Look-ups at the same time; also those that nobody waits for any more."""

AT_ONCE_TENANT = 8
"""Of these, for the requests of one tenant."""


class LookUps:
    """Looks hosts up the system's way."""

    def __init__(self) -> None:
        self._shares = Shares(AT_ONCE, AT_ONCE_TENANT)

    async def turn(self, tenant: str) -> None:
        """Wait until one more look-up may be made for a tenant; `find` has to follow."""
        await self._shares.take(tenant, 1)

    async def find(self, tenant: str, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host; none where it is not known."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[str]] = loop.create_future()

        def done(addresses: Sequence[str]) -> None:
            self._shares.give(tenant, 1)
            if not found.done():
                found.set_result(addresses)

        def look_up() -> None:
            addresses = _addresses(host, port)
            try:
                loop.call_soon_threadsafe(done, addresses)
            except RuntimeError:
                # The loop has ended, and with it whoever wanted to know.
                return

        try:
            threading.Thread(target=look_up, name="media-look-up", daemon=True).start()
        except RuntimeError:
            self._shares.give(tenant, 1)
            raise
        return await found


def _addresses(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return [str(address[0]) for *_, address in found]
