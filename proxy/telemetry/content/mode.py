"""Whether content is captured: the variables that say so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["CAPTURE", "ContentMode", "check_content", "content_bytes", "content_mode"]

CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@dataclass(frozen=True, slots=True)
class ContentMode:
    """Where content goes.

    Attributes:
        spans: Onto the spans of attempts.
        events: Into log records.
    """

    spans: bool = False
    events: bool = False

    @property
    def captures(self) -> bool:
        """Whether it goes anywhere."""
        return self.spans or self.events


_MODES: Final = {
    "NO_CONTENT": ContentMode(),
    "SPAN_ONLY": ContentMode(spans=True),
    "EVENT_ONLY": ContentMode(events=True),
    "SPAN_AND_EVENT": ContentMode(spans=True, events=True),
    # As it was before there were events.
    "TRUE": ContentMode(spans=True),
    "FALSE": ContentMode(),
}

_SPAN_LIMITS: Final = (
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
)


def content_mode(environment: Mapping[str, str]) -> ContentMode:
    """Return what the variables ask for.

    Raises:
        ValueError: It is nothing that the conventions know.
    """
    value = environment.get(CAPTURE, "").strip()
    mode = _MODES.get(value.upper() or "NO_CONTENT")
    if mode is None:
        raise ValueError(
            f"{CAPTURE} is `{value[:80]}`; known are `NO_CONTENT`, `SPAN_ONLY`, `EVENT_ONLY` and "
            "`SPAN_AND_EVENT`."
        )
    return mode


def content_bytes(environment: Mapping[str, str], wanted: int) -> int:
    """Return how large a span's attribute may be: what cuts it afterwards would break its JSON.

    Args:
        environment: For the limits that OpenTelemetry itself has for attributes.
        wanted: Bytes.
    """
    for name in _SPAN_LIMITS:
        value = environment.get(name, "").strip()
        if value.isascii() and value.isdecimal():
            return min(wanted, int(value[:12]))
    return wanted


def check_events(environment: Mapping[str, str]) -> str:
    """Return the exporter of events: `otlp`, `console` or `none`.

    Raises:
        ValueError: It is another one, or speaks a protocol that is not built in.
    """
    exporter = environment.get("OTEL_LOGS_EXPORTER", "").strip().lower() or "otlp"
    if exporter not in ("otlp", "console", "none"):
        raise ValueError(
            f"OTEL_LOGS_EXPORTER is `{exporter[:80]}`; known are `otlp`, `console` and `none`."
        )
    for name in ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = environment.get(name, "").strip()
        if protocol and exporter == "otlp" and protocol != "http/protobuf":
            raise ValueError(
                f"{name} is `{protocol[:80]}`, but events go over `http/protobuf` only: set "
                "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/protobuf, and the collector's port 4318 in "
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT."
            )
        if protocol:
            break
    return exporter


def check_content(environment: Mapping[str, str], *, traced: bool) -> None:
    """Check the variables.

    Args:
        environment: The process's variables.
        traced: There are spans. Without, there is no content either.

    Raises:
        ValueError: A variable has a value that is not known; it says which are.
    """
    if content_mode(environment).events and traced:
        check_events(environment)
