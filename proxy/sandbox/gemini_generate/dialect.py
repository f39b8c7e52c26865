"""The Gemini API behind the sandbox's endpoint.

Model, method and form of the answer stand in the path, so that each call has a dialect of its own.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.sandbox.answer import Answer
from proxy.sandbox.dialect import Rejection, Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.gemini_generate import failures, models, protojson, refusals
from proxy.sandbox.gemini_generate.conversation import conversation
from proxy.sandbox.gemini_generate.render import Rendering
from proxy.sandbox.gemini_generate.rules import check_rules
from proxy.sandbox.jsontypes import JsonObject

__all__ = ["VERSIONS", "Call", "GeminiGenerate"]

VERSIONS = ("v1", "v1beta")
_JSON = b"application/json; charset=UTF-8"
_SSE = b"text/event-stream"
_MARKUP = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True, slots=True)
class Call:
    """What the path and the query of a request say; `form` is the value of `alt`."""

    version: str = "v1beta"
    model: str = ""
    stream: bool = False
    form: str = ""
    key: str = ""


class GeminiGenerate:
    """One call of `generateContent` or `streamGenerateContent`, or the list of models."""

    name = "gemini"
    busy = 503

    def __init__(self, call: Call | None = None) -> None:
        self._call = call or Call()
        self._events = self._call.stream and self._call.form == "sse"
        self._array = self._call.stream and not self._events
        self._made = 0

    @property
    def stream_type(self) -> bytes:
        """The content type of a stream: a JSON array, unless `alt=sse`."""
        return _JSON if self._array else _SSE

    @property
    def refusal_type(self) -> bytes:
        """The content type of an error, which that of the stream is; the body is JSON anyway."""
        return _SSE if self._events else _JSON

    def admit(self, headers: Mapping[str, str]) -> None:
        """Check the key, in its header or in the query.

        Raises:
            Rejection: 400, 401 or 403, as the service words it.
        """
        key = headers.get("x-goog-api-key", "").strip() or self._call.key.strip()
        if key:
            if "invalid" in key:
                raise refusals.key_invalid()
        elif headers.get("authorization"):
            raise refusals.token_invalid()
        else:
            raise refusals.key_missing()

    def read(self, payload: object, headers: Mapping[str, str]) -> Request:
        """Validate a request body.

        Raises:
            Rejection: with the path of the offending field in its message.
        """
        call = self._call
        body = protojson.read("GenerateContentRequest", payload, call.version)
        method = "streamGenerateContent" if call.stream else "generateContent"
        models.known(call.model, call.version, method)
        traits = models.traits(call.model)
        check_rules(body, traits)
        return Request(conversation(call.model, body, traits), body, call.stream)

    def unreadable(self) -> Rejection:
        """Return the refusal of a body that is not JSON."""
        return refusals.invalid(
            "Invalid JSON payload received. Expected a value.\n\n^",
        )

    def failure(
        self, cause: int | str, *, message: str | None = None, kind: str | None = None
    ) -> Rejection:
        """Return the service's error for a status or a named cause; `kind` is its `status`."""
        return failures.failure(cause, message, kind, model=self._call.model)

    def delayed(self, error: JsonObject, seconds: str) -> list[tuple[bytes, bytes]]:
        """Write the delay into the details of the error."""
        failures.add_delay(error, seconds, model=self._call.model)
        return []

    def headers(self, serial: int) -> list[tuple[bytes, bytes]]:
        """Return the headers of every answer."""
        return [
            (b"vary", b"Origin"),
            (b"x-content-type-options", b"nosniff"),
            (b"server-timing", b"gfet4t7; dur=5"),
        ]

    def error_body(self, error: JsonObject, serial: int) -> JsonObject | list[JsonObject]:
        """Wrap an error object; a stream that is an array has an array of it."""
        return [{"error": error}] if self._array else {"error": error}

    def reply(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> JsonObject:
        """Return a `GenerateContentResponse`."""
        return self._rendering(request, answer, directives, serial).whole()

    def events(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> Iterator[bytes]:
        """Yield the stream's responses; nothing but `finishReason` tells that one is the last."""
        for step in self._rendering(request, answer, directives, serial).steps():
            yield self._framed(_encoded(step))
        if self._array:
            yield b"]"

    def stream_error(self, directives: Directives) -> bytes:
        """Return an error in mid-stream: bare JSON, which is not an event; nothing comes after."""
        kind = directives.error_type or "UNAVAILABLE"
        code = next((code for code, (k, _) in refusals.STATUSES.items() if k == kind), 503)
        failure = self.failure(code, kind=kind)
        text = json.dumps({"error": failure.error}, indent=2).encode()
        return self._comma() + text + b"\n]" if self._array else text + b"\n"

    def malformed(self) -> bytes:
        """Return an event cut in the middle of its JSON."""
        return self._framed('{"candidates": [{"content": {"par', made=0)

    def models(self, wanted: str, _route: str) -> JsonObject:
        """Return the list of models, or one of them."""
        version = self._call.version
        return models.described(wanted, version) if wanted else models.listed(version)

    def no_such_path(self, _wanted: str, _route: str) -> JsonObject:
        """Refuse a path that the API does not have."""
        raise refusals.refuse(404)

    def _rendering(
        self, request: Request, answer: Answer, directives: Directives, serial: int
    ) -> Rendering:
        traits = models.traits(self._call.model)
        return Rendering(request, answer, directives, traits=traits, serial=serial)

    def _framed(self, text: str, *, made: int = 1) -> bytes:
        self._made += made
        if self._array:
            return self._comma() + text.encode() + b"\n"
        return b"data: %b\r\n\r\n" % text.encode()

    def _comma(self) -> bytes:
        """Return what stands before an item; the one in the making counts, sent or not."""
        return b"[" if self._made < 2 else b",\r\n"


def _encoded(data: JsonObject) -> str:
    """Write JSON as the service's printer does: a space after colons, no markup."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ": "))
    return text.translate(_MARKUP)
