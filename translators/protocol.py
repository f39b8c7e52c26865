"""What a translator is.

Rule 1: a translator does no I/O and reads no clock, environment or random source: whatever
varies between two runs arrives in a `ResponseContext`.
Rule 2: a `StreamTranslator` lives for one answer and is not shared.
Rule 3: `feed` may raise `ProviderError`, `request` may raise `TranslationError`; any other
exception is a bug here. An event of a type we do not know is not an error: providers add types.
Rule 4: some answers take more than one request (Gemini's `CONTINUATION`, Anthropic's
`pause_turn`). A translator says so with a `follow_up`, the request for the rest, and goes on with
the rest as if it had come with the first; whoever talks to the provider only sends it.
Rule 5: what goes to the client is made once, as bytes: nothing behind the translator parses it
again. `Outcome` holds the few facts that the engine and the trace need.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from translators.fidelity import Report
from translators.wire.request import ChatCompletionRequest
from translators.wire.response import Usage

__all__ = [
    "Chunk",
    "Completion",
    "HttpRequest",
    "JsonContract",
    "MAX_FOLLOW_UPS",
    "Outcome",
    "ResponseContext",
    "StreamTranslator",
    "Translated",
    "Translator",
]

RequestT = TypeVar("RequestT")
RequestT_co = TypeVar("RequestT_co", covariant=True)
ResponseT_contra = TypeVar("ResponseT_contra", contravariant=True)
EventT_contra = TypeVar("EventT_contra", contravariant=True)

MAX_FOLLOW_UPS = 8
"""Further requests for one answer; behind them it ends as if it had reached its token limit."""


@dataclass(frozen=True, slots=True)
class ResponseContext:
    """The facts of one answer that the provider does not supply.

    Attributes:
        id: The id of the answer where the provider gives none.
        created: Unix time in seconds.
        model: The model that was asked, for answers that do not name the one that answered.
        include_usage: Whether the client asked for the usage chunk.
        custom_tools: Names of the client's custom tools, whose calls have a form of their own.
        legacy_functions: Whether the client used `functions`, and so expects `function_call`.
        choice: The `index` of the choice that the answer becomes; None: it is the only one.
            As one of several it makes no usage chunk: whoever joins them adds the counts up.
    """

    id: str
    created: int
    model: str
    include_usage: bool = False
    custom_tools: frozenset[str] = frozenset()
    legacy_functions: bool = False
    choice: int | None = None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A native request for an API over HTTP.

    Attributes:
        path: Relative to the provider's base URL, with a leading slash.
        body: To be sent as JSON.
        headers: What the dialect needs beside credentials and content type; names in lower case.
    """

    path: str
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=lambda: {})


@dataclass(frozen=True, slots=True)
class JsonContract:
    """What the text of an answer must be where the native API cannot see to it.

    The prompt asks for it; whoever talks to the provider holds the answer back, checks it, and
    has it repaired once.

    Attributes:
        schema: The JSON schema as the client gave it; None: any JSON object.
    """

    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Translated(Generic[RequestT_co]):
    """A native request, and what was not carried over into it as it stood.

    Attributes:
        request: To be sent.
        report: What it does not say as the client did.
        choices: How often to send it, where the API gives one answer for each request.
        contract: What the answer is to be checked for.
    """

    request: RequestT_co
    report: Report = field(default_factory=Report)
    choices: int = 1
    contract: JsonContract | None = None


@dataclass(slots=True)
class Outcome:
    """What is known of an answer: complete at its end, partial before.

    Attributes:
        id: The provider's id of the answer.
        model: The model that answered, by the provider's own word.
        finish_reason: OpenAI's finish reason, or None while there is none.
        native_finish_reason: The provider's word for it.
        usage: The latest token counts; on a cancelled stream, what was known by then.
        reasoning: For each tool call's id, the `extra_content` that the call carries: what the
            provider wants back with it in the next turn. Kept for clients that send only ids.
    """

    id: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    usage: Usage | None = None
    reasoning: dict[str, Any] = field(default_factory=dict)


# No named tuple, for the reason that is with `ServerSentEvent`.
class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One `chat.completion.chunk` on its way to the client.

    Attributes:
        data: Its JSON, without the `data: ` around it.
        payload: Whether a client that saw it has seen part of the answer. A chunk that only
            says "assistant" has none, and may be held back while another provider is tried.
    """

    data: bytes
    payload: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """One `chat.completion` on its way to the client: its JSON, and what is known of it."""

    data: bytes
    outcome: Outcome


class StreamTranslator(Protocol[RequestT_co, EventT_contra]):
    """Turns the native events of one answer into OpenAI chunks."""

    @property
    def outcome(self) -> Outcome:
        """What is known of the answer so far."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the terminal event has come: nothing behind it belongs to the answer."""
        ...

    @property
    def follow_up(self) -> RequestT_co | None:
        """After `end`: the request for the rest, whose events are fed to this same translator.

        None where the answer is whole. Never more than `MAX_FOLLOW_UPS` for one answer.
        """
        ...

    def feed(self, event: EventT_contra, /) -> Sequence[Chunk]:
        """Take the next native event; return the chunks it completes, often none.

        Raises:
            ProviderError: The provider reported an error, or broke its own protocol.
        """
        ...

    def end(self) -> Sequence[Chunk]:
        """Say that the native stream is over; return the last chunks.

        The answer itself is not over if there is a `follow_up` then.

        Raises:
            StreamTruncated: The native stream stopped before its terminal event.
        """
        ...


class Translator(Protocol[RequestT, ResponseT_contra, EventT_contra]):
    """Converts between OpenAI's chat wire format and one native API. Stateless."""

    def media_to_fetch(self, chat: ChatCompletionRequest) -> Sequence[str]:
        """Return the addresses of media in `chat` that the native API would not fetch itself.

        Whoever talks to the provider puts the media in their place before `request` is called.
        """
        ...

    def request(self, chat: ChatCompletionRequest, *, model: str) -> Translated[RequestT]:
        """Return the native request for `model`; streamed if `chat.stream` says so.

        Raises:
            TranslationError: The native API cannot express `chat`.
        """
        ...

    def response(self, native: ResponseT_contra, context: ResponseContext) -> Completion:
        """Return the answer to a request that was not streamed.

        Raises:
            ProviderError: The answer is not what the native API promises.
        """
        ...

    def follow_up(self, request: RequestT, native: ResponseT_contra) -> RequestT | None:
        """Return the request for the rest of an answer that is not whole; None where it is.

        Args:
            request: The one that `native` answers.
            native: What came for it, which nobody may have looked at yet.
        """
        ...

    def join(
        self, natives: Sequence[ResponseT_contra], context: ResponseContext, request: RequestT
    ) -> Completion:
        """Return the one answer that several make, as their stream would have said it.

        Args:
            natives: What came for `request` and for each `follow_up` behind it.
            context: The facts that the provider does not supply.
            request: The first one.

        Raises:
            ProviderError: The answer is not what the native API promises.
        """
        ...

    def stream(
        self, context: ResponseContext, request: RequestT | None = None
    ) -> StreamTranslator[RequestT, EventT_contra]:
        """Return a fresh stream translator for one answer.

        Args:
            context: The facts that the provider does not supply.
            request: The one that is answered. It is kept only where the answer may need a
                follow-up; without it there is none.
        """
        ...
