"""The page of `GET /metrics`, made where it holds nobody up."""

import asyncio
from collections.abc import Callable

from proxy.telemetry.metrics.metering import Page

__all__ = ["MetricsPage"]


class MetricsPage:
    """Makes the page in a thread, one at a time: whoever comes meanwhile shares the next.

    Args:
        make: Makes it.
        look: Called right before, in the event loop.
    """

    def __init__(self, make: Page, look: Callable[[], None]) -> None:
        self._make = make
        self._look = look
        self._turn = asyncio.Lock()
        self._made: dict[bool, tuple[float, tuple[bytes, str]]] = {}

    async def get(self, *, as_openmetrics: bool) -> tuple[bytes, str]:
        """Return the page as it is at some moment after now, and its content type."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async with self._turn:
            since, page = self._made.get(as_openmetrics, (None, (b"", "")))
            if since is None or since < asked:
                since = loop.time()
                self._look()
                page = await asyncio.to_thread(self._make, as_openmetrics=as_openmetrics)
                self._made[as_openmetrics] = since, page
        return page
