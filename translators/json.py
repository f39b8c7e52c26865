"""JSON as the translators write it: compact UTF-8, keys in the order given."""

import json
from typing import Any

import msgspec

__all__ = ["encode"]

_encode = msgspec.json.Encoder().encode


def encode(value: Any) -> bytes:
    """Return `value` as JSON.

    Raises:
        ValueError: `value` holds something JSON has no form for.
    """
    try:
        return _encode(value)
    except (OverflowError, RecursionError):
        # Integers beyond 64 bits: legal JSON that msgspec does not write.
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
