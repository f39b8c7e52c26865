"""What a running proxy answers, for the command line that asks it."""

from collections.abc import AsyncIterator

import msgspec

from translators.errors import ErrorBody, ExecutionPlatformError, StreamTruncated
from translators.openai_chat.errors import error_from_object
from translators.sse import SSEDecoder

__all__ = ["chunks", "told"]


async def chunks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the JSON of each chunk in the body of a streamed answer.

    Raises:
        ExecutionPlatformError: It says so, or broke off.
    """
    decoder, done = SSEDecoder(), False
    async for piece in pieces:
        for event in decoder.feed(piece):
            if event.data == b"[DONE]":
                done = True
            elif event.data.startswith(b'{"error"'):
                raise told(event.data) or error_from_object(event.data)
            else:
                yield event.data
    if not done:
        raise StreamTruncated("The answer broke off.")


def told(body: bytes) -> ExecutionPlatformError | None:
    """Return a proxy's error in its own words; None where the body is none of a proxy's.

    The table of a provider's errors would take the proxy's refusal of our key for a provider's
    refusal of the proxy's.
    """
    try:
        found = msgspec.json.decode(body, type=ErrorBody)["error"]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    error = ExecutionPlatformError(found["message"], param=found["param"], code=found["code"])
    error.type = found["type"]
    return error
