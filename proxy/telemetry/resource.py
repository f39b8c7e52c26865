"""Who reports: the resource of spans, metrics and events, the same for all of one process."""

import os
import uuid
from functools import cache

from opentelemetry.sdk.resources import Resource

__all__ = ["resource"]


def resource(version: str) -> Resource:
    """Return who reports, the same for spans and metrics of one process.

    Args:
        version: Of this program.
    """
    attributes: dict[str, str | int] = {
        "service.version": version,
        "service.instance.id": _instance(os.getpid()),
        "process.pid": os.getpid(),
    }
    # What is given here wins over the variables, so the name is given only where they are silent.
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        attributes["service.name"] = "execution-platform"
    return Resource.create(attributes)


@cache
def _instance(_process: int) -> str:
    return uuid.uuid4().hex
