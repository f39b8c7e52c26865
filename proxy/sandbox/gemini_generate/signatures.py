"""Thought signatures: opaque to clients, checked when they come back."""

import base64
import hashlib

from proxy.sandbox.gemini_generate.protojson import decoded

__all__ = ["is_signature", "sign"]

_MARK = b"sandbox"
# What Google documents for calls that another model has made; sent as it stands or as base64 of it.
_DUMMIES = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")


def sign(*parts: str) -> str:
    """Return a signature of this service."""
    seed = hashlib.sha256("\0".join(parts).encode()).digest()[:24]
    return base64.b64encode(_MARK + seed + _checksum(seed)).decode()


def is_signature(text: str) -> bool:
    """Whether the service would take it: one of its own, or a documented dummy."""
    raw = decoded(text) or b""
    if any(text == dummy or raw == dummy.encode() for dummy in _DUMMIES):
        return True
    seed, check = raw[len(_MARK) : -8], raw[-8:]
    return raw.startswith(_MARK) and check == _checksum(seed)


def _checksum(seed: bytes) -> bytes:
    return hashlib.sha256(_MARK + seed).digest()[:8]
