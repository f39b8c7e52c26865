"""Content capture as the variables have it; what it needs is imported only where it is on."""

import importlib
import logging
from collections.abc import Mapping
from typing import Any

from proxy.telemetry.content.capture import Capture, EventSink
from proxy.telemetry.content.mode import CAPTURE, check_events, content_bytes, content_mode

__all__ = ["create_capture"]

log = logging.getLogger("execution_platform.telemetry")


def create_capture(
    environment: Mapping[str, str], *, limit: int, resource: Any, version: str
) -> Capture | None:
    """Return what captures content; None where nobody asked for it.

    Args:
        environment: The process's variables, checked.
        limit: Bytes of each attribute.
        resource: Of the spans, for the events.
        version: Of this program.
    """
    mode = content_mode(environment)
    if not mode.captures:
        return None
    log.warning(
        "%s: what clients ask and models answer goes to the collector, in the clear but for what "
        "looks like a key",
        CAPTURE,
    )
    events: EventSink | None = None
    if mode.events:
        module = importlib.import_module("proxy.telemetry.content.events")
        events = module.ContentEvents(check_events(environment), resource, version)
    return Capture(mode, content_bytes(environment, limit), events)
