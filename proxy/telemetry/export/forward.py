"""Passes encoded exports of other processes on to our collector, over the same exporter as ours."""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future

from proxy.telemetry.export.answers import Answer
from proxy.telemetry.export.connect import exporter_for
from proxy.telemetry.export.delivery import Sender
from proxy.telemetry.export.otlp import otlp_settings
from proxy.telemetry.export.schedule import Schedule

__all__ = ["Forwarder"]


class Forwarder:
    """Sends what it is given, with our headers, certificates, protocol, and repetitions.

    Args:
        environment: The `OTEL_*` variables.

    Raises:
        TelemetryError: They are wrong.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        settings = otlp_settings(environment)
        self._exporter = exporter_for(settings)
        patience = Schedule.from_environment(environment).patience
        self._sender = Sender(self._exporter, seconds=settings.seconds, patience=patience)

    async def send(self, body: bytes) -> str | None:
        """Send an encoded `ExportTraceServiceRequest`.

        Returns:
            None where the collector has it; else why not.
        """
        sent: Future[Answer] = Future()
        # Whoever waits may be cancelled; the thread goes on, and nobody minds what it finds then.
        sent.set_running_or_notify_cancel()

        def run() -> None:
            try:
                sent.set_result(self._sender.send(body))
            except Exception as error:  # noqa: BLE001  raised again where it is waited for
                sent.set_exception(error)

        # Not of the loop's executor: there others wait, and a process waits for it to end.
        threading.Thread(target=run, name="ep-forward", daemon=True).start()
        answer = await asyncio.wrap_future(sent)
        return None if answer.taken else answer.words

    def close(self) -> None:
        """Try nothing again, and close the connections."""
        self._sender.stop(0)
        self._exporter.close()
