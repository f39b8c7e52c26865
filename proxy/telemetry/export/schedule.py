"""How many spans wait for their delivery, and how long: the `OTEL_BSP_*` variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.telemetry.variables import TelemetryError, number, whole

__all__ = ["Schedule"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How much is kept, and when it is sent.

    Attributes:
        queue: Spans that wait at most.
        batch: Spans of one request at most.
        delay: Seconds after which what waits is sent, if it is no batch before.
        patience: Seconds for which a batch is tried.
    """

    queue: int = 2048
    batch: int = 512
    delay: float = 5.0
    patience: float = 30.0

    @staticmethod
    def from_environment(environment: Mapping[str, str]) -> "Schedule":
        """Return what the `OTEL_BSP_*` variables say.

        Raises:
            TelemetryError: One of them is wrong.
        """
        queue = whole(environment, "OTEL_BSP_MAX_QUEUE_SIZE", default=2048, least=1)
        name = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
        batch = whole(environment, name, default=min(512, queue), least=1)
        if batch > queue:
            raise TelemetryError(
                f"{name} is {batch}, more than OTEL_BSP_MAX_QUEUE_SIZE lets wait ({queue})."
            )
        milliseconds = [
            number(environment, "OTEL_BSP_SCHEDULE_DELAY", default=5000, least=1),
            number(environment, "OTEL_BSP_EXPORT_TIMEOUT", default=30_000, least=1),
        ]
        return Schedule(queue, batch, milliseconds[0] / 1000, milliseconds[1] / 1000)
