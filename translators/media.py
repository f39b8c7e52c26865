"""Media that a request carries inside itself: `data:` URLs and bare base64.

https://datatracker.ietf.org/doc/html/rfc2397
"""

import base64
import binascii
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from translators.fidelity import ReportBuilder

__all__ = ["Media", "parse_base64", "parse_data_url", "read_media", "sniff"]

# What the formats' own specifications say, as https://mimesniff.spec.whatwg.org/ collects it.
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"OggS\x00", "audio/ogg"),
    (b"fLaC\x00", "audio/flac"),
    (b"fLaC\x80", "audio/flac"),
    # An MP3 file begins with its ID3 tag (version 2 to 4) or with a frame of MPEG 1, 2 or 2.5.
    *((b"ID3" + version, "audio/mp3") for version in (b"\x02", b"\x03", b"\x04")),
    *((b"\xff" + frame, "audio/mp3") for frame in (b"\xfb", b"\xfa", b"\xf3", b"\xf2", b"\xe3")),
    *((b"\xff" + frame, "audio/aac") for frame in (b"\xf1", b"\xf9")),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
_CONTAINERS = {
    (b"RIFF", b"WEBP"): "image/webp",
    (b"RIFF", b"WAVE"): "audio/wav",
    (b"RIFF", b"AVI "): "video/avi",
    (b"FORM", b"AIFF"): "audio/aiff",
    (b"FORM", b"AIFC"): "audio/aiff",
}
"""Format and content of a container: its first four bytes, and those from the ninth on."""

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1", b"heim", b"heis"), "image/heif"),
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"M4A ", b"M4B "), "audio/mp4"),
    b"qt  ": "video/quicktime",
}
"""Major brands of ISO media files (ISO/IEC 14496-12) that are no plain MP4."""


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


def read_media(value: str, *, path: str, report: ReportBuilder) -> Media:
    """Read the `data:` URL or the bare base64 that a request has at `path`.

    Raises:
        TranslationError: It is neither.
    """
    try:
        return parse_data_url(value) if value[:5].lower() == "data:" else parse_base64(value)
    except ValueError as error:
        raise report.reject(path, f"{error}.") from None


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
    with suppress(ValueError):
        # The usual case, several times as fast: an image may have megabytes.
        return binascii.a2b_base64(data, strict_mode=True)
    try:
        # Line breaks, a missing padding and the URL-safe alphabet all occur in the field.
        compact = "".join(unquote_to_bytes(data).decode("ascii").split())
        compact = compact.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("broken base64") from error


def _typed(declared: str, content: bytes) -> Media:
    if declared in ("", "application/octet-stream"):
        declared = sniff(content)
    return Media("image/jpeg" if declared == "image/jpg" else declared, content)


def sniff(content: bytes) -> str:
    """Return the media type that the first bytes show; empty where they show none.

    Text shows none: whether bytes are text is for their reader to try.
    """
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "video/mp4")
    return _CONTAINERS.get((content[:4], content[8:12]), "")
