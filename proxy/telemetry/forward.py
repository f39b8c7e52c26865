"""Passes encoded exports of other processes on to our collector, over the same exporter as ours."""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress

from proxy.telemetry.answers import Answer
from proxy.telemetry.delivery import Sender
from proxy.telemetry.delivery_schedule import Schedule
from proxy.telemetry.export import exporter_for
from proxy.telemetry.otlp import otlp_settings

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
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()

        def settle(answer: Answer) -> None:
            if not done.done():
                done.set_result(answer)

        def run() -> None:
            answer = self._sender.send(body)
            # The loop may have ended meanwhile: nobody waits for it then.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, answer)

        # Not of the loop's executor: there others wait, and a process waits for it to end.
        threading.Thread(target=run, name="ep-forward", daemon=True).start()
        answer = await done
        return None if answer.taken else answer.words

    def close(self) -> None:
        """Try nothing again, and close the connections."""
        self._sender.stop(0)
        self._exporter.close()
