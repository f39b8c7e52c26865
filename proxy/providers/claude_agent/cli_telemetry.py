"""What a process of the CLI is told of tracing.

It reports to the gate, which holds the collector's address and credential (`otlp_relay`); of our
own variables it gets none. Read and tried with CLI 2.1.330:

1. Spans come only with both switches, whatever keeps the CLI from calling other servers.
2. The trace is that of `TRACEPARENT` when a turn begins: a parked process is told it with its
   request. Where the flag says that the trace is not sampled, it reports nothing. Where it is told
   no trace it begins one of its own.
3. It exports every five seconds, and as it ends, for which it takes two at most by itself; of the
   SDK's variables (`OTEL_BSP_*`) it takes no notice. When it is killed, all is lost.
"""

from collections.abc import Mapping
from typing import Final

from proxy.telemetry.setup import (
    TelemetryError,
    check_telemetry,
    otlp_endpoint,
    wants_telemetry,
)

__all__ = [
    "ENDING_SECONDS",
    "joins",
    "obstacle",
    "request_environment",
    "sampled",
    "telemetry_environment",
]

ENDING_SECONDS: Final = 2.0
"""How long a process may live after its answer, to report. It takes 0.05 s; a busy machine takes
longer."""

_FLUSH_MILLISECONDS: Final = "1000"
_SWITCHES: Final = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
    "OTEL_SERVICE_NAME": "claude-code",
    # The relay answers at once. Should it not, the process does not wait for it.
    "CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS": _FLUSH_MILLISECONDS,
}


def obstacle(ours: Mapping[str, str]) -> str | None:
    """Return why the CLI cannot report, though traces are asked for; None: it can, or they are not.

    Args:
        ours: Our environment.
    """
    if not wants_telemetry(ours):
        return None
    try:
        check_telemetry(ours)
    except TelemetryError as error:
        return str(error)
    if otlp_endpoint(ours) is None:
        return "traces go to the console"
    return None


def joins(ours: Mapping[str, str]) -> bool:
    """Whether the CLI is to report, too.

    Args:
        ours: Our environment.
    """
    return wants_telemetry(ours) and obstacle(ours) is None


def telemetry_environment(ours: Mapping[str, str], *, relay: str) -> dict[str, str]:
    """Return the variables for a process, from its start; none where it is not to report.

    Args:
        ours: Our environment.
        relay: The address that it reports to, without `/v1/traces`.
    """
    return {**_SWITCHES, "OTEL_EXPORTER_OTLP_ENDPOINT": relay} if joins(ours) else {}


def request_environment(traceparent: str | None) -> dict[str, str]:
    """Return the variables for one request: its place in the trace.

    Args:
        traceparent: That of `Call`.
    """
    return {} if traceparent is None else {"TRACEPARENT": traceparent}


def sampled(traceparent: str | None) -> bool:
    """Whether a process that was told `traceparent` has anything to report."""
    return traceparent is not None and bool(int(traceparent[-2:], 16) & 1)
