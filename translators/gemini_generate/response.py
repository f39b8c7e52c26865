"""A whole native answer to a whole OpenAI one.

An event of a stream has the form of an answer, so the answer is one event, and the two cannot
differ.
"""

from translators.errors import ProviderError, StreamTruncated
from translators.fold import fold
from translators.gemini_generate.events import decode_answer
from translators.gemini_generate.stream import GeminiGenerateStream
from translators.protocol import Completion, ResponseContext

__all__ = ["to_completion"]


def to_completion(native: bytes, context: ResponseContext) -> Completion:
    """Return the answer that `native`, the body of a 200, stands for.

    Raises:
        ProviderError: It is not an answer of the Gemini API, or it is an error.
    """
    stream = GeminiGenerateStream(context)
    chunks = stream.handle(decode_answer(native))
    try:
        chunks += stream.end()
    except StreamTruncated:
        raise ProviderError(
            "The provider sent an answer without a finish reason.", kind="protocol"
        ) from None
    return Completion(fold(chunk.data for chunk in chunks), stream.outcome)
