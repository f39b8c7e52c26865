"""What stands between a client and whoever answers it: the engine in this process, or a proxy."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from sys import modules
from typing import Protocol

from execution_platform.spi.answer import FidelityReport, Served
from execution_platform.spi.request import ChatRequest
from execution_platform.writing import body_of, ends_with_answer
from proxy.cache_use import ANY_ANSWER, CacheControl, cache_control
from translators.errors import ExecutionPlatformError, InvalidRequest, ProviderError

__all__ = ["Answer", "Asked", "Backend", "describe", "trace_context"]


@dataclass(slots=True)
class Asked:
    """One request on its way.

    Attributes:
        persona: Who is asked.
        request: What is asked.
        served: Filled in by whoever answers.
    """

    persona: str
    request: ChatRequest
    served: Served = field(default_factory=Served)

    def body(self, *, stream: bool) -> bytes:
        """Return the request as JSON.

        Raises:
            InvalidRequest: It has no such form.
        """
        return body_of(self.request, persona=self.persona, stream=stream)

    def wanted(self) -> CacheControl:
        """Return what the request says of kept answers.

        Raises:
            InvalidRequest: It says something, and nothing that we know.
        """
        said = self.request.cache_control
        wanted = ANY_ANSWER if said is None else cache_control(said)
        if said is not None and wanted == ANY_ANSWER:
            raise InvalidRequest(
                "`cache_control` must be `no-cache`, `no-store`, `max-age=` and seconds, or "
                "several of them with commas between them.",
                param="cache_control",
            )
        return wanted

    def report(self, ignored: Sequence[str], emulated: Sequence[str]) -> FidelityReport:
        """Return a report, with what was done to the request here."""
        if ends_with_answer(self.request) and "messages" not in emulated:
            emulated = ("messages", *emulated)
        return FidelityReport(tuple(ignored), tuple(emulated))


class Answer(Protocol):
    """A streamed answer."""

    async def next(self) -> Sequence[bytes] | None:
        """Return the JSON of the next chunks; None at the end of a whole answer.

        The first call asks, and waits until the answer begins.

        Raises:
            ExecutionPlatformError: There is no answer, or it broke off.
        """
        ...

    async def close(self, error: BaseException | None) -> None:
        """Let go of the answer; it need not have begun."""
        ...


class Backend(Protocol):
    """Answers requests."""

    def check(self, persona: str) -> None:
        """Refuse a persona that nobody could serve, as far as it is known without asking.

        Raises:
            RouterError: There is none, or nobody to serve it.
        """
        ...

    def select_provider(self, persona: str) -> str:
        """Return who would be asked first.

        Raises:
            RouterError: Nobody.
        """
        ...

    async def whole(self, asked: Asked) -> bytes:
        """Return the JSON of a whole answer.

        Raises:
            ExecutionPlatformError: There is none.
        """
        ...

    def answer(self, asked: Asked) -> Answer:
        """Return an answer that is yet to be asked for."""
        ...

    async def aclose(self) -> None:
        """Let go of the connections."""
        ...

    def close(self) -> None:
        """Do the same from outside of an event loop."""
        ...


def describe(error: ExecutionPlatformError, served: Served) -> None:
    """Give an error the attributes that `execution_platform.exceptions` promises."""
    provider = served.provider if isinstance(error, ProviderError) else None
    request_id = served.request_id or None
    facts = {"status": error.status_hint, "provider": provider, "request_id": request_id}
    for name, value in facts.items():
        if getattr(error, name, None) is None:
            setattr(error, name, value)


def trace_context() -> dict[str, str]:
    """Return the headers that make a request part of the program's own trace, if it has one."""
    if "opentelemetry.trace" not in modules:
        # Nobody in this program traces, and the library costs a tenth of a second.
        return {}
    carrier: dict[str, str] = {}
    w3c = import_module("opentelemetry.trace.propagation.tracecontext")
    w3c.TraceContextTextMapPropagator().inject(carrier)
    return carrier
