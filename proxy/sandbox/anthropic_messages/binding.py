"""Thoughts belong to the conversation they are from: signatures that know what stood before.

https://platform.claude.com/docs/en/build-with-claude/preserved-thinking

The newest models refuse a thought whose conversation has changed since, unless the request says
to drop it. What counts is `system`, `tools` and every earlier message, but for other thoughts and
for cache marks.
"""

import hashlib
from typing import Any

import msgspec

from proxy.sandbox.anthropic_messages import refusals
from proxy.sandbox.anthropic_messages.content import bound_to, sign
from proxy.sandbox.anthropic_messages.models import Traits
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object

__all__ = ["check_binding", "dropped_thoughts", "sign_thought"]

_THOUGHTS = ("thinking", "redacted_thinking")


def sign_thought(payload: JsonObject, *parts: str) -> str:
    """Return the signature of a thought that answers `payload`."""
    return sign(*parts, before=_digest(payload, len(payload["messages"])))


def check_binding(payload: JsonObject, model: Traits) -> None:
    """Refuse thoughts of another conversation, where the model minds and nothing else is said.

    Raises:
        Rejection: naming the block.
    """
    thinking = as_object(payload.get("thinking")) or {}
    told = as_object(thinking.get("block_binding")) or {}
    if model.binds_thinking and told.get("prefix_mismatch_behavior") != "drop_block":
        for place in dropped_thoughts(payload):
            raise refusals.invalid(
                f"{place}: this `thinking` block is bound to a different conversation. Send it "
                "back with the messages that it was created with, or leave it out."
            )


def dropped_thoughts(payload: JsonObject) -> list[str]:
    """Return where thoughts stand that are not from this conversation."""
    places: list[str] = []
    for i, message in enumerate(payload["messages"]):
        content = as_list(message["content"]) or []
        for k, block in enumerate(content):
            if block.get("type") in _THOUGHTS:
                signature = str(block.get("signature") or block.get("data"))
                if bound_to(signature) != _digest(payload, i):
                    places.append(f"messages.{i}.content.{k}")
    return places


def _digest(payload: JsonObject, length: int) -> bytes:
    seen = [payload.get("system"), payload.get("tools"), payload["messages"][:length]]
    return hashlib.sha256(msgspec.json.encode(_plain(seen), order="sorted")).digest()[:8]


def _plain(value: Any) -> Any:
    items = as_list(value)
    if items is not None:
        kept = (item for item in items if (as_object(item) or {}).get("type") not in _THOUGHTS)
        return [_plain(item) for item in kept]
    found = as_object(value)
    if found is None:
        return value
    return {name: _plain(entry) for name, entry in found.items() if name != "cache_control"}
