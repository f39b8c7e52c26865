"""A request in a file, or on the standard input."""

import sys
from pathlib import Path

import msgspec

from translators.errors import InvalidRequest
from translators.json import UNREADABLE, encode
from translators.wire.request import ChatCompletionRequest, parse_request

__all__ = ["read_request"]


def read_request(path: str, *, persona: str | None, called: str) -> ChatCompletionRequest:
    """Return the chat completion request of a file.

    Args:
        path: Of the file, or `-`.
        persona: In place of the request's `model`; None: `model` counts.
        called: What the file is in the command, for errors.

    Raises:
        InvalidRequest: It cannot be read, or is no such request.
    """
    try:
        text = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{called}: {error.strerror}.") from None
    try:
        body = msgspec.json.decode(text, type=dict[str, object])
    except UNREADABLE as error:
        raise InvalidRequest(f"{called}: not a JSON object: {error}.") from None
    return parse_request(encode(body if persona is None else {**body, "model": persona}))
