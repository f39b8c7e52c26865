"""Captures the content of attempts: off unless an operator has asked for it.

Nothing that goes wrong here is worth a request: it is counted, said once in the log (never with
the content), and stands on the span as `ep.content.error`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from proxy.gathering import UNFOLDABLE
from proxy.telemetry import attributes as names
from proxy.telemetry.content.bounded_answer import BoundedAnswer
from proxy.telemetry.content.known_secrets import presented_keys
from proxy.telemetry.content.messages import Writer
from proxy.telemetry.content.mode import ContentMode
from proxy.telemetry.content.redaction import REACH, Redactor
from translators.protocol import Chunk
from translators.wire.request import ChatCompletionRequest

__all__ = ["AttemptContent", "Capture", "EventSink"]

log = logging.getLogger("execution_platform.telemetry")

JSONObject = dict[str, Any]


class EventSink(Protocol):
    """Takes the events of attempts."""

    def emit(self, context: Any, attributes: Mapping[str, Any], /) -> None:
        """Emit one.

        Args:
            context: The OpenTelemetry context of the attempt's span.
            attributes: JSON.
        """
        ...

    async def shutdown(self) -> None:
        """Deliver what is left, within a few seconds."""
        ...


_INSTRUCTIONS_APART: Final = frozenset(
    {"openai_responses", "anthropic_messages", "gemini_generate", "claude_agent"}
)
"""Dialects in which instructions are no messages of the conversation."""

_SHARED: Final = ("gen_ai.", "server.", "error.")
"""What an event says of an attempt beside its content."""


class Capture:
    """Captures for all attempts of a process.

    Args:
        mode: Where content goes.
        limit: Bytes of each attribute.
        events: Takes the events, if there are to be some.

    Attributes:
        mode: Where content goes.
        limit: Bytes of each attribute.
        events: Takes the events; None: there are none.
        failures: Attempts whose content was lost, or a part of it.
    """

    def __init__(self, mode: ContentMode, limit: int, events: EventSink | None = None) -> None:
        self.failures = 0
        self.mode = mode
        self.limit = limit
        self.events = events

    def attempt(self, dialect: str, headers: Iterable[tuple[bytes, bytes]]) -> "AttemptContent":
        """Return what captures one attempt.

        Args:
            dialect: The API that is called.
            headers: Of the request, for the key that it shows.
        """
        return AttemptContent(self, dialect, presented_keys(headers))

    async def shutdown(self) -> None:
        """Deliver the events that are left."""
        if self.events is not None:
            await self.events.shutdown()

    def failed(self, error: Exception) -> None:
        """Count a failure; say the first."""
        self.failures += 1
        if self.failures == 1:
            kind = type(error).__name__
            log.warning("the content of an attempt was not captured (%s); said only once", kind)


class AttemptContent:
    """Captures one attempt.

    Args:
        capture: Says where content goes, and how much of it.
        dialect: The API that is called.
        keys: What the caller was let in with.

    Attributes:
        known: The other attributes of the attempt's span, for the event.
    """

    __slots__ = (
        *("_answer", "_capture", "_captured", "_choices", "_dialect", "_error", "_keys"),
        *("_writer", "known"),
    )

    def __init__(self, capture: Capture, dialect: str, keys: Sequence[str]) -> None:
        self.known: dict[str, Any] = {}
        self._captured: dict[str, str] = {}
        self._error: dict[str, str] = {}
        self._capture = capture
        self._dialect = dialect
        self._keys = keys
        self._writer: Writer | None = None
        self._answer: BoundedAnswer | None = None
        self._choices: Sequence[JSONObject] = ()

    def asked(self, chat: ChatCompletionRequest, redactor: Redactor) -> None:
        """Take what the provider is asked: the request with what the persona adds.

        Args:
            chat: It is not kept.
            redactor: Of the policy that serves the request.
        """
        self._writer = writer = Writer(redactor.and_also(self._keys), self._capture.limit)
        apart = self._dialect in _INSTRUCTIONS_APART
        try:
            asked = writer.asked(chat, instructions_apart=apart)
        except UNFOLDABLE as error:
            self._failed(error)
            return
        found = {
            names.INPUT_MESSAGES: asked.messages,
            names.SYSTEM_INSTRUCTIONS: asked.instructions,
            names.TOOL_DEFINITIONS: asked.tools,
        }
        self._captured |= {name: data for name, data in found.items() if data is not None}

    def answered(self, data: bytes) -> None:
        """Take a whole answer: the JSON of a `chat.completion`."""
        try:
            self._choices = msgspec.json.decode(data)["choices"]
        except UNFOLDABLE as error:
            self._failed(error)

    def told(self, batch: Sequence[Chunk]) -> None:
        """Take the next chunks of a streamed answer: of what is beyond the limit the length."""
        if self._error:
            return
        if self._answer is None:
            self._answer = BoundedAnswer(self._capture.limit + REACH)
        try:
            self._answer.add(batch)
        except UNFOLDABLE as error:
            self._failed(error)

    def end(self, *, complete: bool) -> Mapping[str, str]:
        """Say that the attempt is over; return the attributes for its span.

        Args:
            complete: The answer is whole; of another one, choices that go on end as an error.
        """
        writer, self._writer = self._writer, None
        answer, self._answer = self._answer, None
        try:
            choices = self._choices if answer is None else answer.choices()
            if choices and writer is not None:
                unfinished = "stop" if complete else "error"
                said = writer.answered(choices, unfinished=unfinished)
                self._captured[names.OUTPUT_MESSAGES] = said
        except UNFOLDABLE as error:
            self._failed(error)
        self._choices = ()
        return {**self._captured, **self._error} if self._capture.mode.spans else self._error

    def tell(self, context: Any) -> None:
        """Make the event of the attempt, which is over, if there are to be events.

        Args:
            context: The OpenTelemetry context of its span.
        """
        if self._capture.events is None:
            return
        shared = {name: value for name, value in self.known.items() if name.startswith(_SHARED)}
        found = {name: msgspec.json.decode(data) for name, data in self._captured.items()}
        self._capture.events.emit(context, {**shared, **found, **self._error})

    def _failed(self, error: Exception) -> None:
        self._error = {names.CONTENT_ERROR: type(error).__name__}
        self._capture.failed(error)
