"""A whole native answer to a whole OpenAI one.

The last event of a stream holds the whole answer, so the answer is that event, and the two
cannot differ.
"""

from translators.chunks import WholeBuilder
from translators.openai_responses.errors import broken
from translators.openai_responses.events import Response, decode_as
from translators.openai_responses.stream import OpenAIResponsesStream
from translators.protocol import Completion, ResponseContext

__all__ = ["to_completion"]


def to_completion(native: bytes, context: ResponseContext) -> Completion:
    """Return the answer that `native`, the body of a 200, stands for.

    Raises:
        ProviderError: It is not an answer of the Responses API, or it is an error.
    """
    response = decode_as(Response, native)
    if response.output is None and response.error is None:
        raise broken("something that is no answer of the Responses API")
    whole = WholeBuilder(context)
    stream = OpenAIResponsesStream(context, chunks=whole)
    stream.end_with(response)
    stream.end()
    return Completion(whole.completion(), stream.outcome)
