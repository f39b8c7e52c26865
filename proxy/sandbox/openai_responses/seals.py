"""Encrypted reasoning: opaque to clients, opened when it comes back, and tied to its item."""

import base64
import binascii
import hashlib

__all__ = ["seal", "sealed_for"]

# What Fernet tokens begin with, as the recorded ones are.
_MARK = base64.urlsafe_b64decode("gAAAAABo")
_CHECK = 8


def seal(item: str, variant: str) -> str:
    """Return encrypted reasoning for the item of that id.

    Args:
        item: The id of the reasoning item.
        variant: The service encrypts anew for each event that shows the item; none of the
            results are equal, and each is good.
    """
    body = f"{variant}\0{item}".encode()
    return base64.urlsafe_b64encode(_MARK + _checksum(body) + body).decode()


def sealed_for(content: str) -> str | None:
    """Return the id of the item that `content` was made for; None where it is not ours."""
    try:
        raw = base64.b64decode(content, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    start = len(_MARK)
    check, body = raw[start : start + _CHECK], raw[start + _CHECK :]
    if not raw.startswith(_MARK) or check != _checksum(body):
        return None
    return body.decode().partition("\0")[2]


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(_MARK + body).digest()[:_CHECK]
