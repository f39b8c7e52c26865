"""The OpenAI Responses API behind the sandbox's endpoint."""

from collections.abc import Iterator, Mapping

from proxy.sandbox.answer import Answer
from proxy.sandbox.dialect import Rejection, Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject
from proxy.sandbox.openai_chat.dialect import OpenAIChat, check_content_type
from proxy.sandbox.openai_responses import render
from proxy.sandbox.openai_responses.conversation import conversation
from proxy.sandbox.openai_responses.validate import validate

__all__ = ["OpenAIResponses"]


class OpenAIResponses(OpenAIChat):
    """Responses, where keys, headers and refusals are those of Chat Completions.

    Both answer to the name `openai`, in directives and in the journal: they are one service.
    """

    def read(self, payload: object, headers: Mapping[str, str]) -> Request:
        """Validate a request body.

        Raises:
            Rejection: with the offending `param`.
        """
        check_content_type(headers)
        body = validate(payload)
        return Request(conversation(body), body, bool(body.get("stream")))

    def failure(
        self, cause: int | str, *, message: str | None = None, kind: str | None = None
    ) -> Rejection:
        """Return the service's error for a status or a named cause."""
        if cause != "context":
            return super().failure(cause, message=message, kind=kind)
        error: JsonObject = {
            "message": "Your input exceeds the context window of this model. Please adjust your "
            "input and try again.",
            "type": kind or "invalid_request_error",
            "param": "input",
            "code": "context_length_exceeded",
        }
        return Rejection(400, error)

    def reply(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> JsonObject:
        """Return a `response`."""
        return render.response(request, answer, directives, serial=serial)

    def events(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> Iterator[bytes]:
        """Yield the events from `response.created` to the terminal one."""
        return render.events(request, answer, directives, serial=serial)

    def stream_error(self, directives: Directives) -> bytes:
        """Return the recorded `error` event; the `response.failed` behind it is left out."""
        error = self.failure(500, kind=directives.error_type or "server_error").error
        # The service puts the error into an object, whatever its SDK's types say.
        error = {**error, "code": error["code"] or error["type"]}
        data: JsonObject = {"type": "error", "sequence_number": directives.error, "error": error}
        return render.event("error", data)

    def malformed(self) -> bytes:
        """Return an event cut in the middle of its JSON."""
        return (
            b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
            b'"delta":"br\n\n'
        )
