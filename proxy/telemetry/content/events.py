"""Content as log records, over OTLP. Imported only where events are asked for.

The conventions want content structured on events, and as JSON text on spans only where spans can
hold nothing else.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from typing import Any, Final, cast

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    ConsoleLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.resources import Resource

__all__ = ["EVENT", "ContentEvents"]

log = logging.getLogger("execution_platform.telemetry")

EVENT: Final = "gen_ai.client.inference.operation.details"
"""Its name in the conventions."""

SHUTDOWN_SECONDS: Final = 5.0

QUEUE: Final = 256
BATCH: Final = 32
"""Events that wait for the collector, and that are sent to it at once."""

_INT64: Final = 2**63


class ContentEvents:
    """Emits an event for each attempt.

    Args:
        exporter: `otlp` over HTTP, `console`, or `none`.
        resource: Whose events they are.
        version: Of this program.
    """

    def __init__(self, exporter: str, resource: Resource, version: str) -> None:
        self._provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        if exporter == "console":
            console = SimpleLogRecordProcessor(ConsoleLogRecordExporter())
            self._provider.add_log_record_processor(console)
        elif exporter == "otlp":
            self._provider.add_log_record_processor(_batches())
        self._logger = self._provider.get_logger("execution-platform", version)

    def emit(self, context: Context, attributes: Mapping[str, Any]) -> None:
        """Emit the event of an attempt.

        Args:
            context: Of its span.
            attributes: JSON.
        """
        self._logger.emit(
            timestamp=time.time_ns(),
            context=context,
            # As the conventions have it: it tells more than what usually interests.
            severity_number=SeverityNumber.DEBUG,
            event_name=EVENT,
            attributes=_storable(dict(attributes)),
        )

    async def shutdown(self) -> None:
        """Deliver what is left; give up after a few seconds, and say so."""
        stop = asyncio.to_thread(self._provider.shutdown)
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await stop
        except TimeoutError:
            log.warning("the last events were not delivered within %g s", SHUTDOWN_SECONDS)


def _batches() -> BatchLogRecordProcessor:
    """Return a queue that stays small in memory, and sends what a collector takes at once.

    The SDK's own numbers are for lines of a log; an event here may have a quarter of a megabyte.
    """
    given = os.environ.get("OTEL_BLRP_MAX_QUEUE_SIZE")
    queue = None if given else QUEUE
    batch = None if given or os.environ.get("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE") else BATCH
    return BatchLogRecordProcessor(
        OTLPLogExporter(), max_queue_size=queue, max_export_batch_size=batch
    )


def _storable(value: Any) -> Any:
    """Return JSON without what OTLP has no form for: integers of more than 64 bits."""
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {name: _storable(entry) for name, entry in entries}
    if isinstance(value, list | tuple):
        return [_storable(entry) for entry in cast("list[Any]", value)]
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return str(value)
    return value
