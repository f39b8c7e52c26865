"""The OpenAI Chat Completions API behind the sandbox's endpoint."""

from collections.abc import Iterator, Mapping

from proxy.sandbox.answer import Answer
from proxy.sandbox.dialect import Rejection, Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject
from proxy.sandbox.openai_chat import models, refusals, render
from proxy.sandbox.openai_chat.conversation import conversation
from proxy.sandbox.openai_chat.validate import validate

__all__ = ["OpenAIChat", "check_content_type"]

_SERVER_ERROR = (
    "The server had an error processing your request. Sorry about that! You can retry your "
    "request, or contact us through our help center at help.openai.com if you keep seeing this "
    "error."
)
# What the service says with a status, its `type` and its `code`.
_FAILURES: Mapping[int | str, tuple[str, str, str | None]] = {
    400: ("The sandbox was told to refuse this request.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to use this model.", "invalid_request_error", None),
    404: ("The model does not exist or you do not have access to it.", "invalid_request_error",
          "model_not_found"),
    408: ("Request timed out.", "server_error", None),
    409: ("The request conflicts with another one.", "invalid_request_error", None),
    413: ("The request is too large.", "invalid_request_error", None),
    429: ("Rate limit reached for requests", "requests", "rate_limit_exceeded"),
    500: (_SERVER_ERROR, "server_error", None),
    "context": (
        "This model's maximum context length is 128000 tokens. However, your messages resulted in "
        "128001 tokens. Please reduce the length of the messages.",
        "invalid_request_error",
        "context_length_exceeded",
    ),
    "quota": (
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    503: ("The engine is currently overloaded, please try again later", "server_error", None),
}  # fmt: skip


_NAMED = {"context": 400, "quota": 429}


class OpenAIChat:
    """Chat Completions and the list of models."""

    name = "openai"
    busy = 500
    stream_type = b"text/event-stream; charset=utf-8"
    refusal_type = b"application/json"

    def admit(self, headers: Mapping[str, str]) -> None:
        """Check the bearer key and the content type.

        Raises:
            Rejection: 401 or 400, as the service words it.
        """
        scheme, _, key = headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise refusals.refuse(
                "You didn't provide an API key. You need to provide your API key in an "
                "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                None,
                status=401,
            )
        if "invalid" in key:
            raise refusals.refuse(
                f"Incorrect API key provided: {_masked(key)}. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
                None,
                "invalid_api_key",
                status=401,
            )

    def read(self, payload: object, headers: Mapping[str, str]) -> Request:
        """Validate a request body.

        Raises:
            Rejection: with the offending `param`.
        """
        check_content_type(headers)
        body = validate(payload)
        return Request(conversation(body), body, bool(body.get("stream")))

    def unreadable(self) -> Rejection:
        """Return the refusal of a body that is not JSON."""
        return refusals.refuse(
            "We could not parse the JSON body of your request. (HINT: This likely means you "
            "aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, "
            "but what was sent was not valid JSON.)",
            None,
        )

    def failure(
        self, cause: int | str, *, message: str | None = None, kind: str | None = None
    ) -> Rejection:
        """Return the service's error for a status or a named cause."""
        status = cause if isinstance(cause, int) else _NAMED[cause]
        usual = _FAILURES.get(cause) or _FAILURES[500 if status >= 500 else 400]
        words, usual_kind, code = usual
        error: JsonObject = {
            "message": message or words,
            "type": kind or usual_kind,
            "param": "messages" if cause == "context" else None,
            "code": None if message else code,
        }
        return Rejection(status, error)

    def delayed(self, error: JsonObject, seconds: str) -> list[tuple[bytes, bytes]]:
        """Return the header that says when to come back."""
        return [(b"retry-after", seconds.encode())]

    def headers(self, serial: int) -> list[tuple[bytes, bytes]]:
        """Return the headers of every answer."""
        return [
            (b"x-request-id", f"req_{serial:032x}".encode()),
            (b"openai-processing-ms", b"5"),
            (b"openai-version", b"2020-10-01"),
            (b"openai-organization", b"sandbox"),
            (b"x-ratelimit-limit-requests", b"5000"),
            (b"x-ratelimit-remaining-requests", b"4999"),
            (b"x-ratelimit-reset-requests", b"12ms"),
        ]

    def error_body(self, error: JsonObject, serial: int) -> JsonObject:
        """Wrap an error object."""
        return {"error": error}

    def reply(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> JsonObject:
        """Return a `chat.completion`."""
        return render.completion(request, answer, directives, serial=serial)

    def events(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> Iterator[bytes]:
        """Yield the `chat.completion.chunk` events and `[DONE]`."""
        return render.events(request, answer, directives, serial=serial)

    def stream_error(self, directives: Directives) -> bytes:
        """Return an event with an `error` object; nothing comes after it."""
        kind = directives.error_type or "server_error"
        failure = self.failure(500, kind=kind)
        return render.event({"error": failure.error})

    def malformed(self) -> bytes:
        """Return an event cut in the middle of its JSON."""
        return b'data: {"id":"chatcmpl-broken","object":"chat.completion.ch\n\n'

    def models(self, wanted: str, _route: str) -> JsonObject:
        """Return the list of models, or one of them."""
        return models.described(wanted) if wanted else models.listed()

    def no_such_path(self, _wanted: str, route: str) -> JsonObject:
        """Refuse a path that the API does not have."""
        raise refusals.refuse(f"Invalid URL ({route})", None, status=404)


def check_content_type(headers: Mapping[str, str]) -> None:
    """Refuse a body that is not said to be JSON.

    Raises:
        Rejection: 400, as the service words it.
    """
    kind = headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise refusals.refuse(
            f"Unsupported content type: '{kind}'. This API method only accepts "
            f"'application/json' requests, but you specified the header 'Content-Type: "
            f"{kind}'. Please try again with a supported content type.",
            None,
            "unsupported_content_type",
        )


def _masked(key: str) -> str:
    return key if len(key) < 13 else f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
