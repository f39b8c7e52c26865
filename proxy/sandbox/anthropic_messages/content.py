"""What single blocks hold: no empty text, valid base64, and signatures the service has given."""

import base64
import binascii
import hashlib
from collections.abc import Iterator

from proxy.sandbox.anthropic_messages import refusals
from proxy.sandbox.anthropic_messages.blocks import (
    Block,
    Document,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
)
from proxy.sandbox.anthropic_messages.wire import Body

__all__ = ["bound_to", "check_content", "sign"]

_MARK = b"sandbox"


def sign(*parts: str, before: bytes = b"") -> str:
    """Return the signature of a thinking block: opaque to clients, checked when it comes back.

    `before` are eight bytes that stand for the conversation it is bound to.
    """
    seed = hashlib.sha256("\0".join(parts).encode()).digest()[: 24 - len(before)] + before
    return base64.b64encode(_MARK + seed + _checksum(seed)).decode()


def bound_to(signature: str) -> bytes:
    """Return the bytes that stand for the conversation of a valid signature."""
    return base64.b64decode(signature)[:-8][-8:]


def _checksum(seed: bytes) -> bytes:
    return hashlib.sha256(_MARK + seed).digest()[:8]


def _is_signed(signature: str) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    seed, check = raw[len(_MARK) : -8], raw[-8:]
    return raw.startswith(_MARK) and check == _checksum(seed)


def check_content(body: Body, *, newest: bool) -> None:
    """Refuse blocks whose content the service would refuse.

    Raises:
        Rejection: as the service words it.
    """
    if isinstance(body.system, list) and any(not block.text for block in body.system):
        raise refusals.invalid("system: text content blocks must be non-empty")
    last = len(body.messages) - 1
    for i, message in enumerate(body.messages):
        if isinstance(message.content, str):
            # An empty string is an empty text block; only a trailing prefill may be empty.
            if not message.content and not (i == last and message.role == "assistant"):
                raise refusals.invalid(
                    f"messages.{i}: all messages must have non-empty content except for the "
                    "optional final assistant message"
                )
            continue
        if not message.content and not (i == last and message.role == "assistant"):
            raise refusals.invalid(
                f"messages.{i}: all messages must have non-empty content except for the "
                "optional final assistant message"
            )
        for path, block in _blocks(message.content, f"messages.{i}.content"):
            _check_block(block, path, message.role)
            if newest:
                _check_newest(block, path, message.role)


def _blocks(content: "list[Block]", path: str) -> Iterator[tuple[str, object]]:
    for k, block in enumerate(content):
        yield f"{path}.{k}", block
        if isinstance(block, ToolResult) and isinstance(block.content, list):
            for m, part in enumerate(block.content):
                yield f"{path}.{k}.tool_result.content.{m}", part


def _check_block(block: object, path: str, role: str) -> None:
    match block:
        case Text():
            if not block.text:
                raise refusals.invalid("messages: text content blocks must be non-empty")
            # Recorded: an assistant turn with a single space is taken.
            if not block.text.strip() and role == "user":
                raise refusals.invalid(
                    "messages: text content blocks must contain non-whitespace text"
                )
        case Thinking():
            if not _is_signed(block.signature):
                raise refusals.invalid(f"{path}: Invalid `signature` in `thinking` block")
        case RedactedThinking():
            if not _is_signed(block.data):
                raise refusals.invalid(f"{path}: Invalid `data` in `redacted_thinking` block")
        case Image() | Document():
            _check_source(block, path)
        case _:
            pass


def _check_source(block: Image | Document, path: str) -> None:
    source = block.source
    where = f"{path}.{block.type}.source"
    if source.type == "base64":
        try:
            raw = base64.b64decode(source.data, validate=True)
        except (binascii.Error, ValueError):
            raise refusals.invalid(f"{where}.base64: invalid base64 data") from None
        if not raw:
            raise refusals.invalid(f"{where}.base64: {block.type} cannot be empty")
    elif source.type == "url" and not source.url.startswith(("https://", "http://")):
        raise refusals.invalid(f"{where}.url: Only HTTPS URLs are supported.")


def _check_newest(block: object, path: str, role: str) -> None:
    """Check what version 2026-10-21 no longer takes."""
    if isinstance(block, Document) and role == "assistant":
        raise refusals.invalid(f"{path}: `document` blocks can only be in `user` messages")
    if isinstance(block, Text) and role == "user" and block.citations:
        raise refusals.invalid(f"{path}.text.citations: Extra inputs are not permitted")
