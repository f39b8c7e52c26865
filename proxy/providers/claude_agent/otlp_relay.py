"""Passes on what processes of the CLI report, to the collector that the operator has named.

Nothing waits for it: a process gets its answer at once, and what cannot be delivered is counted and
forgotten. Only spans of the request's own trace pass, with what is meant for a collector
(`proxy.telemetry.guests`).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final
from urllib.parse import unquote

from proxy.telemetry.setup import traces_url

__all__ = ["MAX_REPORT", "Expected", "OtlpRelay", "Post"]

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]
"""Posts a body to a URL with some headers; returns the status."""

MAX_REPORT: Final = 4 * 1024 * 1024
"""Bytes of a report. The CLI sends 512 spans at most, of about a kilobyte."""

MOST: Final = 32
"""Reports that are on their way at the same time."""

_DEFAULT_SECONDS: Final = 10.0
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
        ours: Our environment: the variables of OpenTelemetry say where the collector is.
        post: Sends what is left of a report.

    Attributes:
        delivered: How many reports the collector took.
        dropped: How many it did not get or take, by reason.
    """

    def __init__(self, ours: Mapping[str, str], post: Post) -> None:
        self._url = traces_url(ours)
        self._headers = {**_headers(ours), "content-type": "application/x-protobuf"}
        self._seconds = _timeout(ours)
        self._post = post
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
        async with asyncio.timeout(self._seconds):
            status = await self._post(self._url, left, self._headers)
        if 200 <= status < 300:
            self.delivered += 1
        else:
            self._drop(f"the collector answered with status {status}")

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
    guests: Any = import_module("proxy.telemetry.guests")
    return guests.admitted(
        body, traceparent=traceparent, history=expected.history, tools=expected.tools
    )


def _headers(ours: Mapping[str, str]) -> dict[str, str]:
    """Return the operator's headers: a list as in W3C Baggage, its values percent-encoded.

    As the SDK has it, the traces' own list stands in the place of the common one; a value that is
    not encoded passes as it is.
    """
    text = ours.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or ours.get("OTEL_EXPORTER_OTLP_HEADERS")
    pairs = [entry.partition("=") for entry in (text or "").split(",")]
    return {
        unquote(name).strip().lower(): unquote(value).strip()
        for name, joint, value in pairs
        if joint and name.strip()
    }


def _timeout(ours: Mapping[str, str]) -> float:
    """Return seconds, as OpenTelemetry's Python SDK reads the variable."""
    text = ours.get("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") or ours.get("OTEL_EXPORTER_OTLP_TIMEOUT")
    try:
        return float(text) if text else _DEFAULT_SECONDS
    except ValueError:
        return _DEFAULT_SECONDS
