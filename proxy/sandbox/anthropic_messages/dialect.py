"""The Anthropic Messages API behind the sandbox's endpoint."""

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from proxy.sandbox.answer import Answer
from proxy.sandbox.anthropic_messages import models, refusals, render
from proxy.sandbox.anthropic_messages.conversation import conversation
from proxy.sandbox.anthropic_messages.rules import NEW_VERSION, check_rules
from proxy.sandbox.anthropic_messages.wire import Body, shape_fault
from proxy.sandbox.dialect import Rejection, Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject, as_object

__all__ = ["AnthropicMessages"]

_VERSIONS = ("2023-06-01", NEW_VERSION)


_NAMED = {
    "context": "prompt is too long: 200001 tokens > 200000 maximum",
    "quota": (
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing "
        "to upgrade or purchase credits."
    ),
}


class AnthropicMessages:
    """Messages and the list of models."""

    name = "anthropic"
    busy = 529
    stream_type = b"text/event-stream; charset=utf-8"
    refusal_type = b"application/json"

    def admit(self, headers: Mapping[str, str]) -> None:
        """Check the key and the API version.

        Raises:
            Rejection: 401 or 400, as the service words it.
        """
        key = headers.get("x-api-key", "").strip()
        if not key:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            key = token.strip() if scheme.lower() == "bearer" else ""
        if not key:
            raise refusals.refuse(401, "x-api-key header is required")
        if "invalid" in key:
            raise refusals.refuse(401)
        version = headers.get("anthropic-version")
        if version is None:
            raise refusals.invalid("anthropic-version: header is required")
        if version not in _VERSIONS:
            raise refusals.invalid(f'anthropic-version: "{version}" is not a valid version')

    def read(self, payload: object, headers: Mapping[str, str]) -> Request:
        """Validate a request body.

        Raises:
            Rejection: with the path of the offending field in its message.
        """
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise refusals.invalid("content-type: must be application/json")
        found = as_object(payload)
        if found is None:
            raise refusals.invalid("Input does not match the expected shape.")
        try:
            body = Body.model_validate(found)
        except ValidationError as error:
            raise refusals.invalid(shape_fault(error)) from None
        check_rules(body, found, headers)
        return Request(conversation(body, found), found, bool(body.stream))

    def unreadable(self) -> Rejection:
        """Return the refusal of a body that is not JSON."""
        return refusals.invalid(
            "The request body is not valid JSON: expected value: line 1 column 1"
        )

    def failure(
        self, cause: int | str, *, message: str | None = None, kind: str | None = None
    ) -> Rejection:
        """Return the service's error for a status or a named cause."""
        if isinstance(cause, int):
            return refusals.refuse(cause, message, kind)
        return refusals.refuse(400, message or _NAMED[cause], kind)

    def delayed(self, error: JsonObject, seconds: str) -> list[tuple[bytes, bytes]]:
        """Return the header that says when to come back."""
        return [(b"retry-after", seconds.encode())]

    def headers(self, serial: int) -> list[tuple[bytes, bytes]]:
        """Return the headers of every answer."""
        return [
            (b"request-id", render.request_id(serial).encode()),
            (b"anthropic-organization-id", b"sandbox"),
            (b"anthropic-ratelimit-requests-limit", b"4000"),
            (b"anthropic-ratelimit-requests-remaining", b"3999"),
            (b"anthropic-ratelimit-requests-reset", b"2026-01-01T00:00:00Z"),
        ]

    def error_body(self, error: JsonObject, serial: int) -> JsonObject:
        """Wrap an error object."""
        return {"type": "error", "error": error, "request_id": render.request_id(serial)}

    def reply(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> JsonObject:
        """Return a `message`."""
        return render.message(request, answer, directives, serial=serial)

    def events(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> Iterator[bytes]:
        """Yield the events from `message_start` to `message_stop`."""
        return render.events(request, answer, directives, serial=serial)

    def stream_error(self, directives: Directives) -> bytes:
        """Return an `error` event; nothing comes after it."""
        kind = directives.error_type or "overloaded_error"
        words = next((text for k, text in refusals.KINDS.values() if k == kind), "Overloaded")
        error = {"details": None, "type": kind, "message": words}
        return render.event("error", {"type": "error", "error": error})

    def malformed(self) -> bytes:
        """Return an event cut in the middle of its JSON."""
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","ind\n\n'

    def models(self, wanted: str, _route: str) -> JsonObject:
        """Return the list of models, or one of them."""
        return models.described(wanted) if wanted else models.listed()

    def no_such_path(self, _wanted: str, _route: str) -> JsonObject:
        """Refuse a path that the API does not have."""
        raise refusals.refuse(404)
