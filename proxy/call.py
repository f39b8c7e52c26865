"""One call of a provider: what goes along with it, and what is learned from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from translators.fidelity import Report
from translators.json import encode

__all__ = ["Call", "SharedBody"]


class SharedBody:
    """The JSON of a request that is sent several times at once: all of them send the same bytes."""

    __slots__ = ("_data", "_of")

    def __init__(self) -> None:
        self._of: Mapping[str, Any] | None = None
        self._data = b""

    def encode(self, body: Mapping[str, Any]) -> bytes:
        """Return a body as JSON: the bytes of the last one, where it is the same."""
        if body is not self._of:
            data = encode(body)
            # A cloud makes a body of its own of each request, and all of them are alike.
            self._data = self._data if data == self._data else data
            self._of = body
        return self._data


@dataclass(slots=True)
class Call:
    """Made by the engine for each attempt; filled in by the transport.

    Attributes:
        carrier: Trace context to send along, as header names and values.
        status: The HTTP status of the answer.
        request_id: The provider's id of the request.
        began: When the first event could be read; seconds of the event loop's clock.
        follow_ups: Further requests that the answer took, after the first.
        dialect: The API that the request went to, where the provider has several.
        report: What that API's translation did not carry over, where the request was prepared for
            another one.
        on_switch: Told of such an API and its report, before the request is sent.
        shared: Where the request is sent several times at once, until all answers have begun.
    """

    carrier: Mapping[str, str] = field(default_factory=dict[str, str])
    status: int | None = None
    request_id: str | None = None
    began: float | None = None
    follow_ups: int = 0
    dialect: str | None = None
    report: Report | None = None
    on_switch: Callable[[str, Report], None] | None = None
    shared: SharedBody | None = None

    def encode(self, body: Mapping[str, Any]) -> bytes:
        """Return the body of a request as JSON."""
        return encode(body) if self.shared is None else self.shared.encode(body)

    def switch(self, dialect: str, report: Report) -> None:
        """Say that the request goes to another API of the provider than it was prepared for.

        Raises:
            TranslationError: That API would ignore something, and the request is strict.
        """
        if self.on_switch is not None:
            self.on_switch(dialect, report)
        self.dialect, self.report = dialect, report
