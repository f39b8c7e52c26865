"""Passes on what processes of the CLI report, to the collector that the operator has named.

Nothing waits for it: a process gets its answer at once, and what cannot be delivered is counted and
forgotten. Only spans of the request's own trace pass, with what is meant for a collector
(`proxy.telemetry.tracing.guests`), and they go the way that our own go, over HTTP or gRPC
(`proxy.telemetry.export.forward`).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

__all__ = ["MAX_REPORT", "Expected", "Forwarding", "OtlpRelay", "forwarder"]


class Forwarding(Protocol):
    """The way to the collector."""

    async def send(self, body: bytes) -> str | None:
        """Send an export; return why the collector does not have it, or None."""
        ...

    def close(self) -> None:
        """Give up what is on its way."""
        ...


MAX_REPORT: Final = 4 * 1024 * 1024
"""Bytes of a report. The CLI sends 512 spans at most, of about a kilobyte."""

MOST: Final = 32
"""Reports that are on their way at the same time."""

_LAST_SECONDS: Final = 2.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a process is to report of.

    Attributes:
        traceparent: What it was told; None: nothing, so none of its spans belongs anywhere.
        history: How many turns of the user's it was told before the one that it answers.
        tools: Whether it runs tools itself; else those that it names are the client's.
    """

    traceparent: str | None
    history: int = 0
    tools: bool = False


class OtlpRelay:
    """One for all processes of a provider.

    Args:
        way: Returns the way to the collector; called with the first report.

    Attributes:
        delivered: How many reports the collector took.
        dropped: How many it did not get or take, by reason.
    """

    def __init__(self, way: Callable[[], Forwarding]) -> None:
        self._make = way
        self._way: Forwarding | None = None
        self._making = asyncio.Lock()
        self._going: set[asyncio.Task[None]] = set()
        self.delivered = 0
        self.dropped: Counter[str] = Counter()

    def take(self, body: bytes, expected: Expected) -> None:
        """Take a report; it is passed on in the background, or dropped.

        Args:
            body: As the process sent it.
            expected: What it was to report of.
        """
        if expected.traceparent is None:
            self._drop("it belongs to no trace")
        elif len(body) > MAX_REPORT:
            self._drop(f"it is larger than {MAX_REPORT} bytes")
        elif len(self._going) >= MOST:
            self._drop("too many are on their way")
        else:
            task = asyncio.create_task(self._pass_on(body, expected.traceparent, expected))
            self._going.add(task)
            task.add_done_callback(self._done)

    async def aclose(self) -> None:
        """Wait a moment for what is on its way, then give it up."""
        if self._going:
            await asyncio.wait(self._going, timeout=_LAST_SECONDS)
        for task in list(self._going):
            task.cancel()
        if self._going:
            await asyncio.wait(self._going)
        if self._way is not None:
            self._way.close()
            self._way = None

    async def _pass_on(self, body: bytes, traceparent: str, expected: Expected) -> None:
        try:
            # Loading protobuf takes a while, and so may a large report: not the answers' time.
            left, left_out = await asyncio.to_thread(_admitted, body, traceparent, expected)
        except ValueError as error:
            self._drop(str(error))
            return
        if left is None:
            if left_out:
                self._drop("none of its spans is the request's")
            return
        async with self._making:
            if self._way is None:
                # It reads certificates.
                self._way = await asyncio.to_thread(self._make)
        trouble = await self._way.send(left)
        if trouble is None:
            self.delivered += 1
        else:
            self._drop(f"the collector did not take it: {trouble}")

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._going.discard(task)
        if task.cancelled():
            self._drop("the server stopped")
        elif (error := task.exception()) is not None:
            # Its text may hold the collector's address, and that a credential.
            self._drop(f"the collector cannot be reached ({type(error).__name__})")

    def _drop(self, reason: str) -> None:
        self.dropped[reason] += 1
        if self.dropped[reason] == 1:
            _logger.warning("A report of the Claude CLI's spans was dropped: %s.", reason)


def _admitted(body: bytes, traceparent: str, expected: Expected) -> tuple[bytes | None, int]:
    # OpenTelemetry is loaded where traces are asked for, and nowhere else.
    guests: Any = import_module("proxy.telemetry.tracing.guests")
    return guests.admitted(
        body, traceparent=traceparent, history=expected.history, tools=expected.tools
    )


def forwarder(ours: Mapping[str, str]) -> Forwarding:
    """Return the way to the collector that our environment names.

    Raises:
        TelemetryError: A variable is wrong.
    """
    forward: Any = import_module("proxy.telemetry.export.forward")
    return forward.Forwarder(ours)
