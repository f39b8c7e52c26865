"""One call of a provider: what goes along with it, and what is learned from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from translators.fidelity import Report

__all__ = ["Call"]


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
    """

    carrier: Mapping[str, str] = field(default_factory=dict[str, str])
    status: int | None = None
    request_id: str | None = None
    began: float | None = None
    follow_ups: int = 0
    dialect: str | None = None
    report: Report | None = None
    on_switch: Callable[[str, Report], None] | None = None

    def switch(self, dialect: str, report: Report) -> None:
        """Say that the request goes to another API of the provider than it was prepared for.

        Raises:
            TranslationError: That API would ignore something, and the request is strict.
        """
        if self.on_switch is not None:
            self.on_switch(dialect, report)
        self.dialect, self.report = dialect, report
