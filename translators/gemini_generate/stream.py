"""The native events of one answer to OpenAI chunks.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent

1. Only text, thoughts, calls of the client's functions, images and sound reach the client: parts
   we do not know have no place in OpenAI's dialect. What the server's own tools did before a call
   is in its `extra_content`, for the next turn has to bring it back.
2. No event says that it is the last, and `STOP` may come twice: the answer ends with the stream,
   and is complete if a finish reason or a refusal of the prompt has come.
3. A call without an id gets one made of the answer's id and the call's number: another answer
   never has the same.
4. An answer that failed with nothing to show (a call the model got wrong, for instance) is an
   error, not an empty answer.
5. The rest of an answer that takes more than one request (`translators.gemini_generate.
   continuation`) goes on where the events before it stopped. Its tokens, and the offsets of its
   sources, count from its own beginning.
6. The signature of a call is in `extra_content` of the call, that of an image likewise, and that
   of a text in `reasoning_details`, in OpenRouter's form.
"""

import re
from typing import Any

import msgspec

from translators.chunks import ChunkBuilder
from translators.errors import ProviderError, StreamTruncated
from translators.gemini_generate.citations import Sources
from translators.gemini_generate.continuation import Continuation
from translators.gemini_generate.errors import error_from_detail
from translators.gemini_generate.events import (
    Answer,
    Blob,
    Candidate,
    FunctionCall,
    Part,
    PromptFeedback,
    decode_answer,
    decode_usage,
)
from translators.gemini_generate.finish import failure_of, name_of, reason_of, refusal_of
from translators.gemini_generate.logprobs import to_logprobs
from translators.gemini_generate.names import decode_name
from translators.gemini_generate.partial_args import PartialCall
from translators.gemini_generate.signatures import FORMAT
from translators.gemini_generate.usage import CountedOutcome, to_service_tier
from translators.json import UNREADABLE, encode
from translators.protocol import Chunk, HttpRequest, ResponseContext
from translators.sse import ServerSentEvent
from translators.wire.response import FinishReason

__all__ = ["GeminiGenerateStream"]

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")


class GeminiGenerateStream:
    """Stream translator of `streamGenerateContent`.

    Attributes:
        outcome: What is known of the answer so far; token counts from the first event on.
    """

    __slots__ = (
        *(
            "_base",
            "_call_ids",
            "_chunks",
            "_cited",
            "_context",
            "_continuation",
            "_finish_message",
        ),
        *("_follow_up", "_images", "_kind", "_length", "_partial", "_refused", "_shown", "_signed"),
        *("_served", "_unshown"),
        *("_sources", "_started", "_starts", "_texts", "outcome"),
    )

    def __init__(
        self,
        context: ResponseContext,
        request: HttpRequest | None = None,
        *,
        chunks: ChunkBuilder | None = None,
    ) -> None:
        self.outcome = CountedOutcome()
        self._context = context
        self._chunks = chunks or ChunkBuilder(context)
        self._started = False
        self._refused: PromptFeedback | None = None
        self._finish_message: str | None = None
        self._call_ids: set[str] = set()
        self._partial: PartialCall | None = None
        self._images = self._shown = self._signed = 0
        self._served: list[dict[str, Any]] = []
        self._unshown: str | None = None
        self._continuation = Continuation(request)
        self._follow_up: HttpRequest | None = None
        self._sources: Sources | None = None
        self._cited: list[dict[str, Any]] = []
        # The length of the text so far, and of what other requests brought of it; the text of
        # this one, and where its parts begin: for the sources.
        self._length = self._base = 0
        self._texts: list[str] = []
        self._starts: list[int] = []
        self._kind: bool | None = None

    @property
    def complete(self) -> bool:
        """Whether the terminal event has come: there is none, the answer ends with its stream."""
        return False

    @property
    def follow_up(self) -> HttpRequest | None:
        """The request for the rest of the answer, where it is not whole."""
        return self._follow_up

    def feed(self, event: ServerSentEvent, /) -> list[Chunk]:
        """Take the next event; return the chunks it completes, often none.

        Raises:
            ProviderError: The provider reported an error, or broke its own protocol.
        """
        return self.handle(decode_answer(event.data))

    def handle(self, event: Answer) -> list[Chunk]:
        """Take the next event in decoded form; otherwise as `feed`.

        Raises:
            ProviderError: The provider reported an error, or broke its own protocol.
        """
        if event.error is not None:
            raise error_from_detail(event.error)
        self.outcome.count(event.usage_metadata)
        feedback, candidates = event.prompt_feedback, event.candidates
        refused = feedback is not None and feedback.block_reason is not None
        chunks: list[Chunk] = []
        if not self._started and (candidates or refused):
            chunks.append(self._start(event))
        if refused:
            self._refused = feedback
        if candidates:
            for candidate in candidates:
                if not candidate.index:
                    self._candidate(candidate, chunks)
        return chunks

    def end(self) -> list[Chunk]:
        """Say that the stream is over; return the last chunks, none where there is a follow-up.

        Raises:
            StreamTruncated: There was no finish reason.
            ProviderError: The answer failed, and nothing of it had come.
        """
        native, refused = self.outcome.native_finish_reason, self._refused
        self._follow_up = self._continuation.following(native) if refused is None else None
        self._cite()
        if self._follow_up is not None:
            self._turn_over()
            return []
        if native is None and refused is None:
            raise StreamTruncated("The provider's answer stopped before its end.")
        chunks: list[Chunk] = []
        self._end_partial(chunks)
        reason: FinishReason = "content_filter"
        if refused is not None:
            native = self.outcome.native_finish_reason = name_of(refused.block_reason)
        else:
            empty = not (self._length or self._chunks.tool_count or self._shown)
            if empty and (failure := failure_of(native, self._finish_message)) is not None:
                raise failure
            reason = self._reason(native)
            if empty and reason == "stop" and self._unshown is not None:
                raise _broken(f"only `{self._unshown}`, which clients of OpenAI cannot be given")
        if self._cited:
            entries = [{"index": index, **entry} for index, entry in enumerate(self._cited)]
            chunks.append(self._chunks.delta(annotations=entries))
        if reason == "content_filter":
            said = refused.block_reason_message if refused else self._finish_message
            refusal = refusal_of(native, said, prompt=refused is not None)
            chunks.append(self._chunks.delta(refusal=refusal))
        self.outcome.finish_reason = reason
        chunks.append(self._chunks.finish(reason))
        if self.outcome.usage is not None:
            chunks += self._chunks.usage(self.outcome.usage)
        return chunks

    def _cite(self) -> None:
        """Find where the sources of what this request brought belong."""
        if self._sources is not None:
            text = "".join(self._texts)
            self._cited += self._sources.annotations(text, self._starts, base=self._base)
            self._sources = None

    def _turn_over(self) -> None:
        """Make ready for the events of another request."""
        self.outcome.settle()
        self.outcome.native_finish_reason = self._finish_message = None
        self._base, self._kind = self._length, None
        self._texts.clear()
        self._starts.clear()

    def _start(self, event: Answer) -> Chunk:
        self._started = True
        outcome = self.outcome
        outcome.id, outcome.model = event.response_id, event.model_version
        self._chunks.identify(
            f"chatcmpl-{event.response_id}" if event.response_id else self._context.id,
            event.model_version or self._context.model,
            service_tier=to_service_tier(decode_usage(event.usage_metadata)),
        )
        return self._chunks.role()

    def _candidate(self, candidate: Candidate, chunks: list[Chunk]) -> None:
        if candidate.finish_reason is not None:
            self.outcome.native_finish_reason = name_of(candidate.finish_reason)
            self._finish_message = candidate.finish_message
        if candidate.grounding_metadata is not None or candidate.citation_metadata is not None:
            self._sources = self._sources or Sources()
            self._sources.add(candidate)
        self._continuation.observe(candidate)
        content = candidate.content
        if candidate.logprobs_result is not None:
            chunks.append(self._chunks.logprobs(to_logprobs(candidate.logprobs_result)))
        if content is None or not content.parts:
            return
        # The first part of an event goes on where the last one of the event before stopped.
        goes_on = True
        for part in content.parts:
            self._part(part, chunks, goes_on=goes_on)
            goes_on = False

    def _part(self, part: Part, chunks: list[Chunk], *, goes_on: bool) -> None:
        kind = None if part.text is None else bool(part.thought)
        if not goes_on or kind is None or kind is not self._kind:
            self._starts.append(self._length - self._base)
            self._kind = kind
        if part.text:
            if kind:
                chunks.append(self._chunks.delta(reasoning_content=part.text))
            else:
                self._length += len(part.text)
                self._texts.append(part.text)
                chunks.append(self._chunks.text(part.text))
        elif part.function_call is not None:
            self._function_call(part.function_call, part.thought_signature, chunks)
        elif part.inline_data is not None and not part.thought:
            self._media(part.inline_data, part.thought_signature, chunks)
        elif part.tool_call or part.tool_response:
            self._served.append(_served(part))
        if part.thought_signature and kind is False:
            self._sign(part.thought_signature, chunks)

    def _sign(self, signature: str, chunks: list[Chunk]) -> None:
        """Pass on the signature of a text, which may come behind it in an empty one."""
        head = {"index": self._signed, "type": "reasoning.encrypted"}
        entry = {**head, "data": signature, "format": FORMAT}
        self._signed += 1
        chunks.append(self._chunks.delta(reasoning_details=[entry]))

    def _function_call(
        self, call: FunctionCall, signature: str | None, chunks: list[Chunk]
    ) -> None:
        if call.name and (call.will_continue or call.partial_args):
            self._end_partial(chunks)
            self._partial = PartialCall(call, signature)
        if self._partial is None or (call.name and call is not self._partial.call):
            self._end_partial(chunks)
            self._call(call, _arguments(call.args), signature, chunks)
            return
        if call.partial_args and not self._partial.add(call.partial_args):
            raise _broken("a part of a call that fits nowhere")
        if not call.will_continue:
            self._end_partial(chunks)

    def _end_partial(self, chunks: list[Chunk]) -> None:
        if (partial := self._partial) is not None:
            self._partial = None
            arguments = encode(partial.arguments).decode()
            self._call(partial.call, arguments, partial.signature, chunks)

    def _call(
        self, call: FunctionCall, arguments: str, signature: str | None, chunks: list[Chunk]
    ) -> None:
        if not call.name:
            raise _broken("a call without a name")
        key = self._chunks.tool_count
        if key and self._context.legacy_functions:
            return  # The legacy form has room for one call.
        id, name = self._id_of(call, key), decode_name(call.name)
        google: dict[str, Any] = {} if not signature else {"thought_signature": signature}
        if self._served:
            google["server_tools"], self._served = self._served, []
        extra: dict[str, Any] = {}
        if google:
            extra["extra_content"] = self.outcome.reasoning[id] = {"google": google}
        if name in self._context.custom_tools:
            text = _unwrap(arguments)
            chunks.append(self._chunks.custom_call(key, id=id, name=name, input=text, **extra))
            return
        chunks.append(self._chunks.tool_start(key, id=id, name=name, **extra))
        chunks.append(self._chunks.tool_arguments(key, arguments))

    def _id_of(self, call: FunctionCall, number: int) -> str:
        id = call.id
        if not id or id in self._call_ids:
            id = f"call_{self._answer_id()}_{number}"
        self._call_ids.add(id)
        return id

    def _answer_id(self) -> str:
        """Return what no other answer has in its ids, in letters that every API takes."""
        own = self._context.id.removeprefix("chatcmpl-")
        if self._context.choice is not None:
            own += f"_{self._context.choice}"
        return _FOREIGN.sub("_", self.outcome.id or own)

    def _media(self, blob: Blob, signature: str | None, chunks: list[Chunk]) -> None:
        """Pass on an image in the form that OpenRouter and others gave it, and sound in OpenAI's.

        The API's sound is what OpenAI calls `pcm16`: 16 bits, 24 kHz, without a header.
        """
        kind = blob.mime_type or ""
        if not blob.data:
            return
        if not kind.startswith(("image/", "audio/")):
            self._unshown = kind[:80] or "application/octet-stream"
            return
        number, self._shown = self._shown, self._shown + 1
        if kind.startswith("image/"):
            url = f"data:{kind};base64,{blob.data}"
            head = {"index": self._images, "type": "image_url"}
            entry: dict[str, Any] = {**head, "image_url": {"url": url}}
            if signature:
                entry["extra_content"] = {"google": {"thought_signature": signature}}
            self._images += 1
            chunks.append(self._chunks.delta(images=[entry]))
            return
        audio: dict[str, Any] = {"data": blob.data}
        if number == self._images:
            # The first of it. It is not kept anywhere: it expires as it comes.
            expires = self._context.created
            id = f"audio_{self._answer_id()}"
            audio |= {"id": id, "expires_at": expires, "transcript": ""}
        chunks.append(self._chunks.delta(audio=audio))

    def _reason(self, native: str | None) -> FinishReason:
        reason = reason_of(native)
        if reason == "stop" and self._chunks.tool_count:
            return self._chunks.call_reason
        return reason


def _served(part: Part) -> dict[str, Any]:
    """Return a part of a tool of the server's own as it came."""
    fields = (
        ("toolCall", part.tool_call),
        ("toolResponse", part.tool_response),
        ("thoughtSignature", part.thought_signature),
    )
    return {name: value for name, value in fields if value}


class _CustomInput(msgspec.Struct):
    input: str


def _unwrap(arguments: str) -> str:
    """Return the text for a custom tool; where the model broke the wrapping, all of it."""
    try:
        return msgspec.json.decode(arguments, type=_CustomInput).input
    except UNREADABLE:
        return arguments


def _arguments(raw: msgspec.Raw) -> str:
    """Return the arguments of a call as compact JSON; there may be none."""
    data = bytes(raw)
    try:
        value: Any = msgspec.json.decode(data) if data else None
    except UNREADABLE:
        raise _broken("arguments that are not JSON") from None
    if value is None:
        return "{}"
    if not isinstance(value, dict):
        raise _broken("a call whose arguments are no object")
    return encode(value).decode()


def _broken(what: str) -> ProviderError:
    return ProviderError(f"The provider sent {what}.", kind="protocol")
