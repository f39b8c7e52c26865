"""What the rest of the proxy sees of an HTTP client."""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from proxy.http_client.headers import HeaderBlock

__all__ = ["Answer", "Connections", "Request"]


@dataclass(slots=True)
class Request:
    """What is to be sent.

    Attributes:
        method: In capitals.
        url: Of scheme `http` or `https`.
        common: Header fields that many requests share.
        connect: Seconds for a new connection: name, TCP, forward proxy and TLS together.
        headers: Fields of this request; they win over `common`.
        body: None: there is none. It must not change until the answer is closed.
    """

    method: str
    url: str
    common: HeaderBlock
    connect: float
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None


class Answer(Protocol):
    """An answer whose head is there. Whoever has it closes it."""

    @property
    def status(self) -> int:
        """The status, from 200 on: what only informs is skipped."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Its header fields, to be asked for by names in lower case."""
        ...

    @property
    def content_type(self) -> str:
        """The type in lower case without parameters; where there is none, bytes of any kind."""
        ...

    @property
    def complete(self) -> bool:
        """Whether all of the body has come and been read."""
        ...

    def header(self, name: str) -> str | None:
        """Return the field of a name in lower case."""
        ...

    def piece(self) -> Coroutine[Any, Any, bytes]:
        """Return what has arrived of the body, unpacked; empty at the end.

        Nothing is read while nobody asks, beyond a bounded buffer.

        Raises:
            ProviderError: The connection broke before the body's end, or was closed.
        """
        ...

    def close(self) -> None:
        """Close the connection, unless the answer was complete: then it is free for another."""
        ...


class Connections(Protocol):
    """The connections to any servers."""

    async def request(self, request: Request) -> Answer:
        """Send a request; return the answer as soon as its head is there.

        Cancelling this closes the connection.

        Raises:
            ProviderError: No answer came.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
