"""Media in captured content: what they are and how large, never their bytes."""

import re
from collections.abc import Callable
from typing import Any, Final

from proxy.telemetry.content.redaction import REDACTED

__all__ = ["inline", "medium", "reference"]

LONGEST_HEAD: Final = 200
"""Characters of a `data:` URL before its comma."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}://")
_USER: Final = re.compile(r"(?<=://)[^/]*@")

Text = Callable[[str], str]


def medium(modality: str, where: str, text: Text, *, kind: str | None = None) -> dict[str, Any]:
    """Return the part for a medium.

    Args:
        modality: `image`, `audio`, `video` or `document`.
        where: An address, a `data:` URL or bare base64.
        text: Redacts and bounds a text.
        kind: The MIME type, if it is known.
    """
    if where[:5].lower() == "data:":
        comma = where.find(",", 5, LONGEST_HEAD)
        named = where[5 : max(comma, 5)].partition(";")[0]
        return inline(modality, text(named) if named else kind, where, start=comma + 1)
    if _SCHEME.match(where) is None:
        return inline(modality, kind, where)
    address, query, _ = where.partition("?")
    address = _USER.sub("", address.partition("#")[0], count=1)
    shown = text(f"{address}?{REDACTED}" if query else address)
    part = {"type": "uri", "modality": modality, "uri": shown}
    return part if kind is None else {**part, "mime_type": kind}


def inline(modality: str, kind: str | None, data: str, *, start: int = 0) -> dict[str, Any]:
    """Return the part for base64 that stands in the request itself.

    Args:
        modality: As above.
        kind: The MIME type, if it is known.
        data: The base64.
        start: Where it begins.
    """
    length = len(data) - start
    size = max(0, length * 3 // 4 - data.count("=", max(start, len(data) - 2)))
    part = {"type": "blob", "modality": modality, "content": "", "size": size}
    return part if kind is None else {**part, "mime_type": kind}


def reference(modality: str, id: str) -> dict[str, Any]:
    """Return the part for a medium that the provider keeps under an id."""
    return {"type": "file", "modality": modality, "file_id": id}
