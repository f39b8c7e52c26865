"""The native answers and events, as far as they are read. An event has the form of an answer.

https://ai.google.dev/api/generate-content#generatecontentresponse

Everything is optional, and fields and parts that are not known are skipped. Enumerations are
names; the protocol's JSON allows their numbers too.
"""

from typing import Any

import msgspec

from translators.errors import ProviderError
from translators.json import UNREADABLE

__all__ = [
    "Answer",
    "Blob",
    "Candidate",
    "Citation",
    "CitationMetadata",
    "ErrorDetail",
    "FunctionCall",
    "GroundingMetadata",
    "LogprobsResult",
    "ModalityCount",
    "Part",
    "PartialArg",
    "PromptFeedback",
    "Segment",
    "TokenCandidate",
    "UsageMetadata",
    "decode_answer",
    "decode_usage",
]


class PartialArg(msgspec.Struct, rename="camel"):
    """A piece of a call's arguments, of Vertex's `streamFunctionCallArguments`."""

    json_path: str | None = None
    string_value: str | None = None
    number_value: float | None = None
    bool_value: bool | None = None
    null_value: str | int | None = None
    will_continue: bool | None = None


class FunctionCall(msgspec.Struct, rename="camel"):
    """A call of one of the client's functions."""

    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = msgspec.Raw()
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class Blob(msgspec.Struct, rename="camel"):
    """Media in base64."""

    mime_type: str | None = None
    data: str | None = None


class Part(msgspec.Struct, rename="camel"):
    """A part of an answer; of the kinds that are not read, no field is set."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    # What a tool of the server's own was asked, and what it said.
    tool_call: Any = None
    tool_response: Any = None


class Content(msgspec.Struct):
    """The parts of an answer, or those that are new."""

    parts: list[Part] | None = None


class Segment(msgspec.Struct, rename="camel"):
    """Where a text has a source: offsets in bytes of UTF-8."""

    start_index: int | None = None
    end_index: int | None = None
    part_index: int | None = None
    text: str | None = None


class GroundingSupport(msgspec.Struct, rename="camel"):
    """A segment, and which chunks support it."""

    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class GroundingSource(msgspec.Struct):
    """A page or document."""

    uri: str | None = None
    title: str | None = None


class GroundingChunk(msgspec.Struct, rename="camel"):
    """A source, in the field of its kind."""

    web: GroundingSource | None = None
    retrieved_context: GroundingSource | None = None
    maps: GroundingSource | None = None


class GroundingMetadata(msgspec.Struct, rename="camel"):
    """What a search found."""

    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class Citation(msgspec.Struct, rename="camel"):
    """Where the model recited something from."""

    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class CitationMetadata(msgspec.Struct, rename="camel"):
    """Recitations, under Vertex's name and under the Gemini API's."""

    citations: list[Citation] | None = None
    citation_sources: list[Citation] | None = None


class TokenCandidate(msgspec.Struct, rename="camel"):
    """A token and the logarithm of its probability."""

    token: str | None = None
    log_probability: float | None = None


class TopCandidates(msgspec.Struct):
    """The likeliest tokens at one place."""

    candidates: list[TokenCandidate] | None = None


class LogprobsResult(msgspec.Struct, rename="camel"):
    """The probabilities of the tokens of a candidate."""

    chosen_candidates: list[TokenCandidate] | None = None
    top_candidates: list[TopCandidates] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One answer, or what is new of it."""

    index: int | None = None
    content: Content | None = None
    finish_reason: str | int | None = None
    finish_message: str | None = None
    continuation_token: str | None = None
    grounding_metadata: GroundingMetadata | None = None
    citation_metadata: CitationMetadata | None = None
    logprobs_result: LogprobsResult | None = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    """Why a prompt was refused."""

    block_reason: str | int | None = None
    block_reason_message: str | None = None


class ModalityCount(msgspec.Struct, rename="camel"):
    """Tokens of one modality."""

    modality: str | int | None = None
    token_count: int | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    """Token counts; in a stream, totals so far. Read apart: no answer depends on them."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    tool_use_prompt_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    service_tier: str | None = None


class ErrorDetail(msgspec.Struct):
    """A `google.rpc.Status`."""

    code: int | str | None = None
    message: str | None = None
    status: str | None = None
    details: msgspec.Raw = msgspec.Raw()


class Answer(msgspec.Struct, rename="camel"):
    """A whole answer, or one event of a stream; or an error in its place."""

    candidates: list[Candidate] | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw()
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: PromptFeedback | None = None
    error: ErrorDetail | None = None


_decoder = msgspec.json.Decoder(Answer)
_usage_decoder = msgspec.json.Decoder(UsageMetadata, strict=False)


def decode_answer(data: bytes) -> Answer:
    """Read an answer or an event.

    Raises:
        ProviderError: It is not JSON, or a field is not what it should be.
    """
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        if (wrapped := _unwrapped(data)) is not None:
            return wrapped
        raise _malformed(f"an answer with an unexpected field: {error}") from None
    except UNREADABLE:
        raise _malformed("an answer that is not JSON") from None


def decode_usage(raw: msgspec.Raw) -> UsageMetadata | None:
    """Read the token counts of an answer; None where there are none that can be read."""
    data = bytes(raw)
    try:
        return _usage_decoder.decode(data) if data else None
    except UNREADABLE:
        return None


def _unwrapped(data: bytes) -> Answer | None:
    """Return the answer that an array of one wraps: the API wraps errors so at times."""
    if not data.lstrip().startswith(b"["):
        return None
    try:
        (answer,) = msgspec.json.decode(data, type=list[Answer])
    except (*UNREADABLE, ValueError):
        return None
    return answer


def _malformed(what: str) -> ProviderError:
    return ProviderError(f"The provider sent {what}.", kind="protocol")
