"""The blocks of an answer that is coming."""

import msgspec

from translators.anthropic_messages import content
from translators.anthropic_messages.events import Block
from translators.errors import ProviderError
from translators.json import UNREADABLE, encode
from translators.names import decode_name

__all__ = ["OpenBlock", "broken", "unwrap", "whole_input"]


class OpenBlock:
    """A block whose end has not come.

    Attributes:
        kind: Its type.
        key: What tells it apart in the whole answer.
        start: How much text the answer had before it, in characters.
        has_arguments: Whether any arguments came.
        parts: The arguments of a custom tool, which the client gets unwrapped and whole; or the
            text of a thought, which comes once more with its signature.
        signature: That of a thought.
        data: A thought that is hidden.
        extra: Further fields of a call.
    """

    __slots__ = (
        *("citations", "custom", "data", "extra", "has_arguments", "id", "input", "key"),
        *("kind", "name", "parts", "signature", "start"),
    )

    def __init__(self, block: Block, *, key: int, start: int) -> None:
        self.kind = block.type or ""
        self.key = key
        self.start = start
        self.id = block.id or ""
        self.name = decode_name(block.name or "")
        self.input = block.input
        self.citations = list(block.citations or ())
        self.has_arguments = False
        self.parts: list[str] = [block.thinking] if block.thinking else []
        self.signature = block.signature or ""
        self.data = block.data or ""
        self.extra: content.Block = {}
        self.custom = False

    def thought(self) -> content.Block:
        """Return the native block of a thought."""
        if self.kind == "redacted_thinking":
            return {"type": self.kind, "data": self.data}
        text = "".join(self.parts)
        return {"type": self.kind, "thinking": text, "signature": self.signature}


class _CustomInput(msgspec.Struct):
    input: str


def whole_input(raw: msgspec.Raw) -> str:
    """Return the `input` a block began with as compact JSON.

    Raises:
        ProviderError: It is not JSON.
    """
    data = bytes(raw)
    if not data or data == b"null":
        return "{}"
    try:
        return encode(msgspec.json.decode(data)).decode()
    except UNREADABLE:
        raise broken("arguments that are not JSON") from None


def unwrap(arguments: str) -> str:
    """Return the text for a custom tool; where the model broke the wrapping, all of it."""
    try:
        return msgspec.json.decode(arguments, type=_CustomInput).input
    except UNREADABLE:
        return arguments


def broken(what: str) -> ProviderError:
    """Return the error for an answer that breaks the API's own rules."""
    return ProviderError(f"The provider sent {what}.", kind="protocol")
