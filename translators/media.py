"""Media that a request carries inside itself: `data:` URLs and bare base64.

https://datatracker.ietf.org/doc/html/rfc2397
"""

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

__all__ = ["Media", "parse_base64", "parse_data_url"]

_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@dataclass(frozen=True, slots=True)
class Media:
    """Bytes of a stated or recognised kind.

    Attributes:
        type: The media type in lower case without parameters; empty where nothing says it.
        content: The bytes themselves.
    """

    type: str
    content: bytes

    @property
    def base64(self) -> str:
        """The bytes in standard base64, with padding and without line breaks."""
        return base64.b64encode(self.content).decode()

    @property
    def text(self) -> str | None:
        """The bytes as UTF-8 text, or None where they are not."""
        try:
            return self.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None


def parse_data_url(url: str) -> Media:
    """Read a `data:` URL; a type that says nothing is replaced by what the bytes look like.

    Raises:
        ValueError: It is not a `data:` URL, or its base64 is broken.
    """
    header, comma, payload = url.partition(",")
    if header[:5].lower() != "data:" or not comma:
        raise ValueError("not a data: URL")
    declared, *parameters = (item.strip().lower() for item in header[5:].split(";"))
    content = _decode(payload) if "base64" in parameters else unquote_to_bytes(payload)
    return _typed(declared, content)


def parse_base64(data: str) -> Media:
    """Read bare base64; the type is what the bytes look like.

    Raises:
        ValueError: It is not base64.
    """
    return _typed("", _decode(data))


def _decode(data: str) -> bytes:
    # Line breaks, a missing padding and the URL-safe alphabet all occur in the field.
    compact = "".join(unquote_to_bytes(data).decode("ascii").split())
    compact = compact.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("broken base64") from error


def _typed(declared: str, content: bytes) -> Media:
    if declared in ("", "application/octet-stream"):
        declared = _recognise(content)
    return Media("image/jpeg" if declared == "image/jpg" else declared, content)


def _recognise(content: bytes) -> str:
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return ""
