"""What a provider's API is to the sandbox: how it refuses, reads, and gives an answer its shape."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from proxy.sandbox.answer import Answer, Conversation
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject

__all__ = ["Dialect", "Rejection", "Request"]


class Rejection(Exception):
    """The request is refused with `status` and the provider's own `error` object."""

    def __init__(self, status: int, error: JsonObject) -> None:
        super().__init__(str(error.get("message", "")))
        self.status = status
        self.error = error


@dataclass(frozen=True, slots=True)
class Request:
    """An accepted request: what it says, and the body for what only the dialect knows."""

    conversation: Conversation
    payload: JsonObject
    stream: bool


class Dialect(Protocol):
    """One provider's native API; `serial` numbers the answers, and ids are made from it."""

    name: str
    # The status that stands for a busy service.
    busy: int

    @property
    def stream_type(self) -> bytes:
        """The content type of a stream."""
        ...

    @property
    def refusal_type(self) -> bytes:
        """The content type of an error."""
        ...

    def admit(self, headers: Mapping[str, str]) -> None:
        """Check credentials and the headers the API insists on.

        Raises:
            Rejection: as the real service words it.
        """
        ...

    def read(self, payload: object, headers: Mapping[str, str]) -> Request:
        """Validate a decoded body as strictly as the real service does.

        Raises:
            Rejection: naming the field, as the real service words it.
        """
        ...

    def unreadable(self) -> Rejection:
        """Return the refusal of a body that is not JSON."""
        ...

    def failure(
        self, cause: int | str, *, message: str | None = None, kind: str | None = None
    ) -> Rejection:
        """Return the service's error for a status or one of `directives.FAILURES`.

        `message` and `kind` replace the service's usual words and type.
        """
        ...

    def delayed(self, error: JsonObject, seconds: str) -> list[tuple[bytes, bytes]]:
        """Say in an error when to come back, by headers to be returned or in the object itself."""
        ...

    def headers(self, serial: int) -> list[tuple[bytes, bytes]]:
        """Return the headers of every answer, without the content type."""
        ...

    def error_body(self, error: JsonObject, serial: int) -> JsonObject | list[JsonObject]:
        """Wrap an error object in the service's envelope."""
        ...

    def reply(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> JsonObject:
        """Return the body of an answer that is not streamed."""
        ...

    def events(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> Iterator[bytes]:
        """Yield the stream's events as they stand on the wire, the terminal one included.

        The first one is what the service sends before the model has produced anything.
        """
        ...

    def stream_error(self, directives: Directives) -> bytes:
        """Return the event of an error in mid-stream."""
        ...

    def malformed(self) -> bytes:
        """Return an event whose data is not JSON."""
        ...
