"""What a collector makes of an export."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["LONGEST_WORDS", "Answer", "Exporter", "accepted", "without_secrets"]

LONGEST_WORDS: Final = 200
"""Characters of what a collector says, in the log."""

_SHORTEST_SECRET: Final = 4
_WHOLLY: Final = (b"", b"\x0a\x00")
"""An `ExportTraceServiceResponse` without `partial_success`, and one with an empty one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try.

    Attributes:
        taken: Whether the collector has the export, at least in part.
        rejected: How many spans of it it does not want.
        again: Whether the same may be sent once more, as the collector is busy or away.
        after: Seconds for which it asks to be left alone; None: it does not say.
        words: Why not, for the log: no address, no credential.
    """

    taken: bool
    rejected: int = 0
    again: bool = False
    after: float | None = None
    words: str = ""


class Exporter(Protocol):
    """Sends one request at a time; blocks."""

    def send(self, body: bytes, seconds: float) -> Answer:
        """Send an encoded `ExportTraceServiceRequest`, and give up after `seconds`."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


def accepted(body: bytes, headers: Mapping[str, str]) -> Answer:
    """Return the answer that a successful response stands for: it may be one in part.

    Args:
        body: An `ExportTraceServiceResponse`, encoded.
        headers: Those that were sent: none of their values gets into the log.
    """
    if body in _WHOLLY:
        return Answer(taken=True)
    # Imported here: it takes 0.1 s and 6 MB, and most collectors never say more than that.
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415

    try:
        said = trace_service_pb2.ExportTraceServiceResponse.FromString(body)
    except DecodeError:
        # Some answer with a page, or in JSON. They have taken it nevertheless: so says the status.
        return Answer(taken=True)
    partial = said.partial_success
    words = without_secrets(partial.error_message, headers)
    return Answer(taken=True, rejected=partial.rejected_spans, words=words)


def without_secrets(words: str, headers: Mapping[str, str]) -> str:
    """Return what a collector said, shortened, without a header's value that it repeats."""
    for value in headers.values():
        for secret in (value, *value.split()):
            if len(secret) >= _SHORTEST_SECRET:
                words = words.replace(secret, "…")
    return " ".join(words.split())[:LONGEST_WORDS]
