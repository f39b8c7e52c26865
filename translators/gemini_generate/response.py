"""Whole native answers to a whole OpenAI one.

An event of a stream has the form of an answer, so an answer is one event, and the answers to
several requests are the events of one stream: what is streamed and what is not cannot differ.
"""

from collections.abc import Sequence

from translators.chunks import WholeBuilder
from translators.errors import ProviderError, StreamTruncated
from translators.gemini_generate.events import decode_answer
from translators.gemini_generate.stream import GeminiGenerateStream
from translators.protocol import Completion, HttpRequest, ResponseContext

__all__ = ["join", "rest_of", "to_completion"]

_NOBODY = ResponseContext(id="", created=0, model="")


def to_completion(native: bytes, context: ResponseContext) -> Completion:
    """Return the answer that `native`, the body of a 200, stands for.

    Raises:
        ProviderError: It is not an answer of the Gemini API, or it is an error.
    """
    return _played([native], context, None)


def join(natives: Sequence[bytes], context: ResponseContext, request: HttpRequest) -> Completion:
    """Return the answer that `natives` are together: what came for `request` and behind it.

    Raises:
        ProviderError: One is not an answer of the Gemini API, or an error, or the last is no end.
    """
    return _played(natives, context, request)


def rest_of(native: bytes, request: HttpRequest) -> HttpRequest | None:
    """Return the request for the rest of what `native`, the answer to `request`, begins.

    None where it is whole, and where it is no answer: who reads it says what is wrong with it.
    """
    if native.find(b'"continuationToken"') == -1:  # `in` costs more: see `translators.sse`.
        return None  # All but always: it need not be decoded once more.
    stream = GeminiGenerateStream(_NOBODY, request)
    try:
        stream.handle(decode_answer(native))
        stream.end()
    except ProviderError:
        return None
    return stream.follow_up


def _played(
    natives: Sequence[bytes], context: ResponseContext, request: HttpRequest | None
) -> Completion:
    whole = WholeBuilder(context)
    stream = GeminiGenerateStream(context, request, chunks=whole)
    try:
        for native in natives:
            stream.handle(decode_answer(native))
            stream.end()
        return Completion(whole.completion(), stream.outcome)
    except StreamTruncated:
        raise ProviderError(
            "The provider sent an answer without a finish reason.", kind="protocol"
        ) from None
